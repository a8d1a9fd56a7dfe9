"""Whatever file a command is given, it ends in one line, and nothing is half done."""

import bz2
import gzip
import lzma
import os

import pyarrow
import pytest
from pyarrow import parquet

from experiments import convert, mask, prepare_corpus, recall, report, score
from experiments import study as study_main
from tests.runs import command

ROW = b'{"id": "a", "text": "One.", "source": "Q?", "target": "A"}\n'


def _table():
  sink = pyarrow.BufferOutputStream()
  parquet.write_table(pyarrow.table({'other': ['x', 'y']}), sink)
  return sink.getvalue().to_pybytes()


PARQUET = _table()
ZST = pyarrow.compress(ROW * 99, codec='zstd', asbytes=True)

# Kind -> the file's name and what is in it, and a part of the message.
FILES = {
  'empty': ('f.jsonl', b'', 'no usable record'),
  'blank': ('f.jsonl', b'\n \n' * 9, 'no usable record'),
  'cut gzip': ('f.jsonl.gz', gzip.compress(ROW * 99)[:-9], 'cannot be read: Compres'),
  'cut bzip2': ('f.jsonl.bz2', bz2.compress(ROW * 99)[:-9], 'cannot be read: Compres'),
  'cut xz': ('f.jsonl.xz', lzma.compress(ROW * 99)[:-9], 'cannot be read: Compressed'),
  'cut zstd': ('f.jsonl.zst', ZST[:-9], 'cannot be read: '),
  'no gzip': ('f.jsonl.gz', ROW, 'Not a gzipped file'),
  'gzip bomb': ('f.jsonl.gz', gzip.compress(bytes(1 << 25)), 'above 16 MiB, 200 times'),
  'list bomb': ('f.json.xz', lzma.compress(b'[' + b'0,' * (1 << 24)), 'above 16 MiB'),
  'packed twice': ('f.gz', gzip.compress(gzip.compress(ROW)), 'compressed twice'),
  'zip': ('f.jsonl', b'PK\x03\x04' + bytes(99), 'a zip archive; unpack it'),
  'tar': ('f.jsonl', b'f'.ljust(257, b'\0') + b'ustar\0' + bytes(99), 'a tar archive'),
  'PDF': ('f.jsonl', b'%PDF-1.7\n\xff\xfe', 'a PDF document'),
  'pickle': ('f.jsonl', b'\x80\x04\x95\x05\0K\x01.', 'a pickle'),
  'LFS pointer': ('f.jsonl', b'version https://git-lfs.github.com/spec/v1', 'Git LFS'),
  'UTF-16': ('f.jsonl', ROW.decode().encode('utf-16'), 'UTF-16'),
  'no UTF-8': ('f.jsonl', b'{"text": "\xff"}\n', 'f.jsonl:1: not UTF-8 at byte 10'),
  'NUL': ('f.jsonl', b'\0\0\0\n', 'f.jsonl:1: not JSON'),
  'no JSON': ('f.jsonl', b'<html>\n', 'f.jsonl:1: not JSON'),
  'cut line': ('f.jsonl', ROW[:-9], 'f.jsonl:1: not JSON'),
  'long number': ('f.jsonl', b'{"a": %s}\n' % (b'9' * 5000), 'more than 4,300 digits'),
  'nesting': ('f.jsonl', b'{"a": ' + b'[' * 99_999, 'brackets within brackets'),
  'twice': ('f.jsonl', b'{"id": 1, "id": 2}\n', "'id' occurs twice in an object"),
  'surrogate': ('f.jsonl', b'{"text": "\\ud800"}\n', 'half of a surrogate pair'),
  'no object': ('f.jsonl', b'[1]\n3\n', 'expected a JSON object'),
  'other fields': ('f.jsonl', b'{"other": 1}\n', 'f.jsonl:1: '),
  'NaN': ('f.jsonl', b'{"id": NaN, "text": Infinity}\n', 'f.jsonl:1: '),
  'document, long number': (
    'f.json', b'[{"a": 1},\n{"a": %s}]' % (b'9' * 5000), 'f.json:2: not JSON: a number'
  ),
  'document, nesting': ('f.json', b'[' * 99_999, 'f.json:1: not JSON: brackets'),
  'document, twice': ('f.json', b'[{"}": 1},\n{"b": 1, "b": 2}]', "f.json:2: not JSON"),
  'document, cut': ('f.json', b'[{"a": 1},\n{"b"', 'f.json:2: not JSON'),
  'no Parquet': ('f.parquet', b'PAR1', 'f.parquet'),
  'cut Parquet': ('f.parquet', PARQUET[:-9], 'f.parquet'),
  'other Parquet': ('f.parquet', PARQUET, 'f.parquet'),
}  # fmt: skip

# Kind -> path below the folder, and a part of the message.
PATHS = {
  'missing': ('none.jsonl', 'none.jsonl'),
  'long name': ('x' * 300 + '.jsonl', '255'),
  'pipe': ('pipe', 'pipe'),
}

ROWS = '{"id": "a", "input": "Q?", "output": [{"answer": "x"}]}\n'

CONFIG = '--config=configs/world.py:smoke'
CORPUS = (CONFIG, '--config.corpus.name=jsonl')
TASK = (CONFIG, '--config.task.names=jsonl', '--config.policy.names=none')

# Command -> its main, its arguments with the file as {}, and what it must not write.
COMMANDS = {
  'score, predictions': (score, ('--predictions={}', '--gold=good.jsonl')),
  'score, gold': (score, ('--predictions=good.jsonl', '--gold={}')),
  'score, train': (
    score, ('--predictions=good.jsonl', '--gold=good.jsonl', '--train={}')
  ),
  'recall': (recall, ('--config=configs/recall.py:smoke', '--workdir=out',
                      '--config.data.path={}')),
  'prepare_corpus': (prepare_corpus, (*CORPUS, '--workdir=out',
                                      '--config.corpus.path={}')),
  'mask': (mask, ('--policy=random', '--input={}', '--output=out.jsonl')),
  'study': (study_main, (*TASK, '--workdir=out', '--config.task.train={}')),
}  # fmt: skip

# Those that take a path, and not a file of records.
OTHERS = {
  'mask, output': (mask, ('--policy=random', '--input=good.txt', '--output={}')),
  'mask, tokenizer': (
    mask, ('--policy=random', '--input=good.txt', '--output=o', '--tokenizer={}')
  ),
  'convert, input': (convert, ('--input={}', '--output=out')),
  'report': (report, ('--workdir={}',)),
  'study, workdir': (study_main, (CONFIG, '--workdir={}')),
  'study, source': (study_main, (*TASK, '--workdir=out', '--config.task.source={}')),
  'study, tokenizer': (
    study_main, (*TASK, '--workdir=out', '--config.corpus.tokenizer={}')
  ),
  'study, checkpoint': (
    study_main, (*TASK, '--workdir=out', '--config.model.checkpoint={}')
  ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """A folder with a good file of predictions, where commands find their configs."""
  (tmp_path / 'good.jsonl').write_text(ROWS)
  (tmp_path / 'good.txt').write_text('One two three four five six.')
  (tmp_path / 'configs').symlink_to(os.path.abspath('configs'))
  os.mkfifo(tmp_path / 'pipe')
  monkeypatch.chdir(tmp_path)
  return tmp_path


def refused(capsys, folder, main, arguments, path, message):
  """A command ends with exit code 2 and one line that has the message."""
  found = [argument.format(path) for argument in arguments]
  assert command(main.main, *found) == 2
  errors = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
  said = [line for line in errors if line.startswith('error: ')]
  assert len(said) == 1, errors
  assert message in ' '.join(errors)  # `mask` says what it skips, line by line
  assert len(said[0]) < 1_000
  left = {p.name for p in folder.rglob('*') if p.is_file()}
  left -= {'out.jsonl.partial'}  # what was read before the damage is gone on from
  assert not [name for name in left if name.endswith(('.partial', '.passages'))]
  assert not left & {'study.json', 'results.jsonl', 'recall.jsonl', 'store.json'}


@pytest.mark.parametrize('command_', COMMANDS)
@pytest.mark.parametrize('kind', FILES)
def test_files(folder, capsys, kind, command_):
  """Damaged, cut off, empty and hostile ones, to every command that reads such."""
  name, data, message = FILES[kind]
  (folder / name).write_bytes(data)
  refused(capsys, folder, *COMMANDS[command_], name, message)


@pytest.mark.parametrize('command_', COMMANDS)
@pytest.mark.parametrize('kind', PATHS)
def test_paths(folder, capsys, kind, command_):
  """What is no file, or none of this machine."""
  refused(capsys, folder, *COMMANDS[command_], *PATHS[kind])


@pytest.mark.parametrize('command_', [*COMMANDS, *OTHERS])
@pytest.mark.parametrize('scheme', ['gs', 's3', 'https', 'hf', 'file'])
def test_urls(folder, capsys, monkeypatch, scheme, command_):
  """None becomes a folder, neither for input nor for output."""
  monkeypatch.setenv('NO_GCE_CHECK', 'true')  # No credentials, and nobody is asked.
  url = f'{scheme}://bucket/f.jsonl'
  refused(capsys, folder, *{**COMMANDS, **OTHERS}[command_], url, url)
  assert not (folder / f'{scheme}:').exists()


@pytest.mark.parametrize('command_', OTHERS)
def test_long_names(folder, capsys, command_):
  """No file system has them."""
  refused(capsys, folder, *OTHERS[command_], 'x' * 300, 'a name of 300 bytes')
