"""For the reference among the pages: griffe knows a docstring's examples under the heading "Examples" alone."""

from typing import Any

import griffe


class DocstringExamples(griffe.Extension):
    """Reads the heading "Example" as that."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace('\nExample:\n', '\nExamples:\n')
