"""What stages stand on: generated in memory, or of files and stored."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments import prepare_corpus
from masklearn import data, models
from masklearn.io import files
from masklearn.models import pretrained
from masklearn.study import setup, stage
from masklearn.training import mesh
from masklearn.types import InputError
from tests.documents import lines
from tests.runs import command
from tests.small import slow_case
from tests.test_pretrained import write_hf

CONFIG = '--config=configs/world.py:smoke'


def prepare(directory, **options):
  """A small setup, whose passages have at most twelve tokens."""
  return setup.prepare(
    directory,
    seed=0,
    longest=12,
    tokenizer='',
    vocabulary=270,
    model={'name': 'bart', 'size': 'tiny'},
    **options,
  )


def test_files_become_passages_that_the_model_can_read(tmp_path):
  """Cut by words, then by tokens; salient spans go with them, and are used."""
  path = lines(
    tmp_path / 'a.jsonl',
    {'id': 'x', 'text': 'Oh! he met Bo in 1999. ada saw bo.', 'group': 'g'},
    {'text': 'ADA saw bo.'},  # as x/1
    {'text': ''},
  )
  options = {'name': 'jsonl', 'path': path, 'words': 6, 'annotator': 'rules'}
  made = prepare(tmp_path / 'out', **options)
  assert [p.id for p in made.passages] == ['x/0/0', 'x/0/1', 'x/1']
  assert ' '.join(p.text for p in made.passages) == 'Oh! he met Bo in 1999. ada saw bo.'
  assert made.problems == (f"{path}:3: 'text' is empty.",)
  assert made.skipped == 1
  assert all(len(made.tokenizer.encode(p.text).ids) <= 12 for p in made.passages)
  found = [[p.text[s.start : s.end] for s in p.salient] for p in made.passages]
  assert [name for names in found for name in names] == ['Bo', '1999']
  batch = data.encode_passages(made.passages, made.tokenizer, 'none', max_length=12)
  np.testing.assert_array_equal(batch.salient.any(1), [bool(f) for f in found])
  path.unlink()
  again = prepare(tmp_path / 'out', **options)
  assert list(again.passages) == list(made.passages)
  assert again.tokenizer.encode('Ada') == made.tokenizer.encode('Ada')
  assert (again.problems, again.skipped) == (made.problems, made.skipped)
  summary = setup.summary(tmp_path / 'out')
  assert (summary['documents'], summary['duplicates']) == (2, 1)


def test_generated_corpora_stay_in_memory(tmp_path):
  """As JSON lines, without salient spans, which are found when they are asked for."""
  options = {'name': 'people', 'size': 9, 'copies': 1}
  made = prepare(tmp_path / 'out', **options)
  whole, _ = data.load_documents(seed=0, **options)
  assert isinstance(made.passages, tuple)
  assert all(p.salient is None for p in made.passages)
  assert len(made.passages) > len(whole)
  assert data.read_passages(tmp_path / 'out' / 'passages.jsonl') == list(made.passages)
  assert prepare(tmp_path / 'out', **options).passages == made.passages
  found = setup.summary(tmp_path / 'out')
  assert found == {'passages': len(made.passages), 'problems': 0}


def test_names_of_entities_can_be_tokens(tmp_path):
  """Those of the first groups."""
  options = {'name': 'people', 'size': 5, 'copies': 1, 'kinds': 'pet'}
  made = prepare(tmp_path, entities=3, **options)
  groups = dict.fromkeys(p.group for p in made.passages)
  one = [len(made.tokenizer.encode(group).ids) == 1 for group in groups]
  assert one == [True] * 3 + [False] * 2
  assert made.model.config.vocab_size == made.tokenizer.size > 270


def test_an_interruption_before_the_last_cuts(tmp_path):
  """What is prepared and the tokenizer are kept, the rest is made."""
  path = lines(tmp_path / 'a.txt', 'One two three four five six seven eight.')
  options = {'name': 'text', 'path': path}
  made = prepare(tmp_path / 'out', **options)
  done = files.read_json(tmp_path / 'out' / 'documents' / 'store.json')
  (tmp_path / 'out' / 'passages' / 'store.json').unlink()
  with pytest.raises(InputError, match=r'no store\.json'):
    data.Store(tmp_path / 'out' / 'passages')
  again = prepare(tmp_path / 'out', **options)
  assert list(again.passages) == list(made.passages)
  assert done == files.read_json(tmp_path / 'out' / 'documents' / 'store.json')


def test_prepare_corpus_says_what_it_found(tmp_path, capsys):
  """Once; then that nothing is left to do, with the same numbers."""
  path = lines(tmp_path / 'a.jsonl', {'text': 'Ada.'}, {'text': 'ada.'}, '{')
  flags = [
    CONFIG, '--config.corpus.name=jsonl', f'--config.corpus.path={path}',
    '--config.corpus.vocabulary=300', f'--workdir={tmp_path / "run"}',
  ]  # fmt: skip
  for again in (False, True):
    code, printed = command(prepare_corpus.main, *flags), capsys.readouterr()
    assert code == 0, printed.err
    assert '2 documents, 1 passages, 1 duplicates, 1 problems, ' in printed.out
    assert printed.out.rstrip().endswith(' MB/s')
    assert f'skipped {path}:3: not JSON' in printed.err
    assert ('nothing to do' in printed.err) == again


def test_names_are_checked_before_anything_is_written(tmp_path, capsys):
  """Of corpora, annotators and files."""
  for flag, message in (
    ('--config.corpus.name=wikipdia', 'wikipedia'),
    ('--config.corpus.annotator=rule', "'rule'; did you mean 'rules'"),
    ('--config.corpus.name=text', 'needs path'),
  ):
    workdir = tmp_path / 'run'
    assert command(prepare_corpus.main, CONFIG, flag, f'--workdir={workdir}') == 2
    assert message in capsys.readouterr().err
    assert not workdir.exists()


@pytest.mark.parametrize('family', [slow_case('bart'), 't5'])
def test_a_published_model_brings_its_parameters_and_tokens(tmp_path, family):
  """What does not change its shape can be changed; what does not fit is said."""
  params = write_hf(tmp_path / 'theirs', family)
  pretrained.from_hf(tmp_path / 'theirs', tmp_path / 'ours')
  options = {'name': family, 'size': 'base', 'checkpoint': str(tmp_path / 'ours')}

  def made(tokenizer='', **changes):
    return setup.prepare(
      tmp_path / 'out', seed=0, name='people', size=9, copies=1, longest=200,
      tokenizer=tokenizer, vocabulary=0, model=options | changes,
    )  # fmt: skip

  found = made(remat=True)
  shapes = models.param_shapes(found.model)
  stored = stage.saved(found.params, shapes, mesh.one_device()).read()
  jax.tree.map(np.testing.assert_array_equal, stored, params)
  assert found.model.config.remat
  ours = pretrained.load_model(tmp_path / 'ours')
  assert found.model.config == dataclasses.replace(ours.model.config, remat=True)
  assert found.tokenizer.encode('Oslo') == ours.tokenizer.encode('Oslo')
  for changes, message in (
    ({'name': 't5' if family == 'bart' else 'bart'}, f'holds a {family}'),
    ({'decoder_layers': 1}, 'leave out decoder_layers'),
    ({'remt': True}, "did you mean 'remat'"),
    ({'tokenizer': 'mine'}, 'that it was trained with'),
  ):
    with pytest.raises(InputError, match=message):
      made(**changes)
