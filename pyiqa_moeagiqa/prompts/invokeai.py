"""InvokeAI's graphs -> the text of the positive conditioning.

Since version 3, a picture made in the workflow editor can have its graph as its only metadata. A graph as it was run
(``invokeai_graph``) has nodes by id and edges from field to field; one as it was drawn (``invokeai_workflow``) has both in
lists. Names of fields mean the same as in ComfyUI, so both are converted to ComfyUI's form.
"""

from typing import Any

from .comfyui import Reading, read_graph

Graph = dict[str, dict[str, Any]]


def invokeai_reading(graph: Any, workflow: Any) -> Reading:
    """Read the prompt, or the candidates, of the graph as it was run; without one, of the graph as it was drawn."""
    return read_graph(_of_graph(graph) or _of_workflow(workflow))


def _of_graph(graph: Any) -> Graph:
    nodes = graph.get('nodes') if isinstance(graph, dict) else None
    found = {
        number: {'class_type': node.get('type'), 'inputs': {name: value for name, value in node.items() if isinstance(value, str) and name not in ('id', 'type')}}
        for number, node in (nodes.items() if isinstance(nodes, dict) else ())
        if isinstance(node, dict)
    }  # fmt: skip
    for edge in _dicts(graph.get('edges')) if found else ():
        source, target = edge.get('source'), edge.get('destination')
        if isinstance(source, dict) and isinstance(target, dict):
            _link(found, source.get('node_id'), target.get('node_id'), target.get('field'))
    return found


def _of_workflow(workflow: Any) -> Graph:
    found: Graph = {}
    for node in _dicts(workflow.get('nodes')) if isinstance(workflow, dict) else ():
        data = node.get('data')
        inputs = data.get('inputs') if isinstance(data, dict) else None
        if isinstance(data, dict) and isinstance(inputs, dict) and isinstance(node.get('id'), str):
            typed = {
                name: one['value']
                for name, one in inputs.items()
                if isinstance(one, dict) and isinstance(one.get('value'), str)
            }
            found[node['id']] = {'class_type': data.get('type'), 'inputs': typed}
    for edge in _dicts(workflow.get('edges')) if found else ():
        _link(found, edge.get('source'), edge.get('target'), edge.get('targetHandle'))
    return found


def _link(nodes: Graph, source: Any, target: Any, field: Any) -> None:
    """Add an edge as a link; several edges to one field, a collection, get a name each."""
    if isinstance(source, str) and isinstance(target, str) and isinstance(field, str) and target in nodes:
        inputs = nodes[target]['inputs']
        inputs[f'{field}_{len(inputs)}' if isinstance(inputs.get(field), list) else field] = [source, 0]


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
