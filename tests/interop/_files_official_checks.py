"""The checks of files_official_client.py; runs inside the virtual environment, with BACKEND_* set to the gateway and
BACKENDAI_FILES_PEER naming the SDK's program."""
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings
from urllib.parse import quote, unquote

warnings.simplefilter('ignore')  # deprecations that the client's age brings along

import aiohttp.payload
from ai.backend.client.session import Session

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tools'))
from files_tree import make_tree, sums as tree_sums

PEER = os.environ['BACKENDAI_FILES_PEER']
NAMES = ['plain.txt', 'with space.txt', 'empty', 'dir/sub dir/file.bin', 'it\'s.txt', 'a+b&c=d', 'n' * 150, '\u00fcml\u00e4ut \ud55c\uae00.txt', 'dir/large']
failures = 0


def with_extended_names(original):
    """The client pins an aiohttp that sends each file name twice, percent-encoded and by RFC 5987, which is what
    servers read. Later ones send the first alone, and a server that knows aiohttp keeps its percent signs."""
    def header(kind, quote_fields=True, **parameters):
        value = original(kind, quote_fields=quote_fields, **parameters)
        if 'filename' in parameters and "filename*" not in value:
            value += "; filename*=utf-8''" + quote(parameters['filename'], '')
        return value
    return header


def check(name, good, detail=''):
    global failures
    failures += 0 if good else 1
    print('%s %s%s' % ('ok  ' if good else 'FAIL', name, '' if good else ': %r' % (detail,)), flush=True)


def peer(*arguments):
    return subprocess.run([PEER, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout


def sums(root, flat=False):
    return {path.name if flat else str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob('*')) if path.is_file()}


def folders(session, root):
    mine = root / 'mine'
    generator = random.Random(3)
    for index, name in enumerate(NAMES):
        path = mine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes({'empty': 0, 'dir/large': 9_000_000}.get(name, index * 1000)))
    session.VFolder.create('plain')
    session.VFolder('plain').upload([mine / 'plain.txt'], basedir=mine)
    peer('vfolder-download', 'plain', root / 'plain', 'plain.txt')
    check('their upload as their aiohttp has it', sums(root / 'plain') == {'plain.txt': sums(mine)['plain.txt']})
    session.VFolder('plain').delete()
    aiohttp.payload.content_disposition_header = with_extended_names(aiohttp.payload.content_disposition_header)
    session.VFolder.create('theirs')
    session.VFolder('theirs').upload([mine / name for name in NAMES], basedir=mine)
    peer('vfolder-download', 'theirs', root / 'down', *NAMES)
    check('their upload, our download', sums(root / 'down') == sums(mine), sums(root / 'down'))
    session.VFolder.create('ours')
    peer('vfolder-upload', 'ours', mine)
    check('their info', session.VFolder('ours').info()['numFiles'] == len(NAMES))
    listed = json.loads(session.VFolder('ours').list_files('dir')['files'])
    check('their list of files', [x['filename'] for x in listed] == ['large', 'sub dir'], listed)
    os.makedirs(root / 'flat')
    os.chdir(root / 'flat')  # where that client puts every file, under its percent-encoded base name
    session.VFolder('ours').download(NAMES)
    got = {unquote(name): digest for name, digest in sums(root / 'flat').items()}
    check('our upload, their download', got == sums(mine, flat=True), got)
    session.VFolder('ours').mkdir('new/place')
    session.VFolder('ours').delete_files(['dir'], recursive=True)
    names = [x['filename'] for x in json.loads(session.VFolder('ours').list_files()['files'])]
    check('their mkdir and delete_files', 'new' in names and 'dir' not in names, names)
    session.VFolder('ours').delete()
    check('their delete', [x['name'] for x in session.VFolder.list()] == ['theirs'])


def tree(session, root):
    mine, flat = root / 'tree', root / 'tree-flat'
    names = make_tree(mine)
    expected = tree_sums(mine)
    session.VFolder.create('tree-theirs')
    for first in range(0, len(names), 10):  # as many as the server takes; that client does not divide them
        session.VFolder('tree-theirs').upload([mine / name for name in names[first:first + 10]], basedir=mine)
    peer('vfolder-download', 'tree-theirs', root / 'tree-down', *names)
    got = tree_sums(root / 'tree-down')
    check('a thousand files: their upload, our download', got == expected and len(got) == 1000, len(got))
    session.VFolder.create('tree-ours')
    peer('vfolder-upload', 'tree-ours', mine)
    os.makedirs(flat)
    os.chdir(flat)
    for first in range(0, len(names), 100):
        session.VFolder('tree-ours').download(names[first:first + 100])
    got = {unquote(name): digest for name, digest in tree_sums(flat).items()}
    check('a thousand files: our upload, their download',
          got == {os.path.basename(name): digest for name, digest in expected.items()}, len(got))


def kernels(session, root):
    mine = root / 'session'
    # That client's download splits what it gets at line ends of CRLF, so only text goes through it unharmed.
    for name, content in {'setup.py': 'print(1)\n', 'pkg/mod ule.py': 'x = 1\n' * 2000, 'none': ''}.items():
        path = mine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    first = session.Kernel.get_or_create('bash', client_token='files-theirs')
    first.upload([path for path in mine.rglob('*') if path.is_file()], basedir=mine)
    peer('kernel-download', 'files-theirs', root / 'from-session', 'setup.py', 'pkg', 'none')
    check('their upload, our download (session)', sums(root / 'from-session') == sums(mine), sums(root / 'from-session'))
    second = session.Kernel.get_or_create('bash', client_token='files-ours')
    peer('kernel-upload', 'files-ours', mine)
    listed = json.loads(second.list_files('.')['files'])
    check('their list of files (session)', {x['filename'] for x in listed} >= {'none', 'pkg', 'setup.py'}, listed)
    check('our list of files', '-rw-r--r-- 9 setup.py\n' in peer('kernel-list', 'files-ours', '.'))
    os.makedirs(root / 'to-client')
    os.chdir(root / 'to-client')
    second.download(['setup.py'])
    check('our upload, their download (session)',
          sums(root / 'to-client') == {'setup.py': sums(mine)['setup.py']}, sums(root / 'to-client'))
    first.destroy()
    second.destroy()


def main():
    with tempfile.TemporaryDirectory() as folder, Session() as session:
        folders(session, pathlib.Path(folder))
        tree(session, pathlib.Path(folder))
        kernels(session, pathlib.Path(folder))
        os.chdir('/')
    print('%d failed' % failures)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
