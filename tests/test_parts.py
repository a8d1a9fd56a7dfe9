"""A corpus in two parts: what tasks ask about, and the rest."""

import numpy as np
import pytest

from masklearn.study.parts import Parts
from masklearn.types import Example, InputError, Passage, Task
from tests.small import make_batch

PASSAGES = [Passage(str(i), 'x', group) for i, group in enumerate('abab')]
ASKED = Example('1', 'who?', ('x',), 'b')


def test_each_passage_is_in_one_part():
  """In their order, by the groups of all splits of all tasks."""
  batch = make_batch([[1]] * 4)
  parts = Parts(PASSAGES, [Task('t', (), (), ()), Task('u', (), (), (ASKED,))])
  for asked, rows in ((True, [1, 3]), (False, [0, 2])):
    found = parts.take(batch, asked)
    np.testing.assert_array_equal(found.tokens, batch.tokens[np.array(rows)])


@pytest.mark.parametrize('passages', [PASSAGES[:1], PASSAGES[1:2]])
def test_two_parts_need_passages_of_both(passages):
  """It is said how many there are."""
  with pytest.raises(InputError, match=r'base.apart.* of 1 are asked about'):
    Parts(passages, [Task('t', (ASKED,), (), ())])
