"""A hub on this machine that the hub's own client can write to: repositories, large files, commits."""

import base64
import json
from dataclasses import dataclass, field

from stand_ins import Page, Server, _Handler, hub_page


@dataclass
class Repository:
    private: bool = False
    may_write: bool = True
    files: dict[str, bytes] = field(default_factory=dict)


class WritableHub(Server):
    """Takes the token ``token`` alone; files of a commit are at once among ``pages``, where a download finds them.

    Attributes:
        repositories: by OWNER/NAME.
        owner: the account of the token, under which alone repositories can be made.
    """

    def __init__(self):
        super().__init__('http')
        self.RequestHandlerClass = _WritableHandler
        self.repositories: dict[str, Repository] = {}
        self.owner, self.token = 'me', 'hf_secret'
        self.uploaded: dict[str, bytes] = {}
        self.missing = Page(status=404, headers={'X-Error-Code': 'EntryNotFound', 'X-Repo-Commit': 40 * 'a'})

    def add(self, name: str, **options) -> Repository:
        """Make a repository with the files that are given, as (name, content)."""
        files = options.pop('files', {})
        self.repositories[name] = Repository(**options)
        self.pages[f'/api/models/{name}'] = Page(
            json.dumps({'id': name, '_id': '1', 'private': self.repositories[name].private}).encode(),
            headers={'Content-Type': 'application/json'},
        )
        for file, content in files.items():
            self.write(name, file, content)
        return self.repositories[name]

    def write(self, name: str, file: str, content: bytes) -> None:
        self.repositories[name].files[file] = content
        self.pages[f'/{name}/resolve/main/{file}'] = hub_page(content)


class _WritableHandler(_Handler):
    def do_PUT(self):
        self.server.uploaded[self.path.rpartition('/')[2]] = self._body()
        self._reply({})

    def do_POST(self):
        self.server.asked.append(f'POST {self.path}')
        body = self._body()
        if self.headers.get('Authorization') != f'Bearer {self.server.token}':
            return self._reply({'error': 'Invalid username or password.'}, 401)
        if self.path == '/api/repos/create':
            return self._create(json.loads(body))
        if self.path == '/api/validate-yaml':
            return self._reply({'errors': [], 'warnings': []})
        _, _, _, owner, name, action, *_ = [*self.path.split('/'), '', '', '']
        if self.path.endswith('/info/lfs/objects/batch'):
            return self._reply(self._places(json.loads(body)))
        repository = self.server.repositories[f'{owner}/{name}']
        if not repository.may_write:
            return self._reply({'error': 'Forbidden'}, 403)
        if action == 'preupload':
            return self._reply({'files': [self._mode(file) for file in json.loads(body)['files']]})
        return self._commit(f'{owner}/{name}', body)

    def _create(self, asked: dict) -> None:
        name = f'{asked["organization"] or self.server.owner}/{asked["name"]}'
        if name in self.server.repositories:
            return self._reply(
                {'error': 'You already created this model repo', 'url': f'{self.server.address}/{name}'}, 409
            )
        if not name.startswith(f'{self.server.owner}/'):
            return self._reply({'error': 'You have no rights to create a model under this namespace'}, 403)
        self.server.add(name, private=asked.get('visibility') == 'private')
        self._reply({'url': f'{self.server.address}/{name}'})

    def _mode(self, file: dict) -> dict:
        is_large = file['path'].endswith('.safetensors')
        return {'path': file['path'], 'uploadMode': 'lfs' if is_large else 'regular', 'shouldIgnore': False}

    def _places(self, asked: dict) -> dict:
        """Where each large file is to be put."""
        return {
            'transfer': 'basic',
            'objects': [
                large | {'actions': {'upload': {'href': f'{self.server.address}/stored/{large["oid"]}'}}}
                for large in asked['objects']
            ],
        }

    def _commit(self, name: str, body: bytes) -> None:
        for line in map(json.loads, body.decode().splitlines()):
            value = line['value']
            if line['key'] == 'file':
                self.server.write(name, value['path'], base64.b64decode(value['content']))
            elif line['key'] == 'lfsFile':
                self.server.write(name, value['path'], self.server.uploaded[value['oid']])
        self._reply({'success': True, 'commitOid': 40 * 'b', 'commitUrl': f'{self.server.address}/{name}/commit/b'})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get('Content-Length') or 0))

    def _reply(self, content: dict, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
