"""What a policy hides of some texts -> a page that stands alone."""

import os
import pathlib
from collections.abc import Sequence

from masklearn.report.markup import Markup, element, join
from masklearn.report.page import page
from masklearn.report.viewer import viewer
from masklearn.types import InputError


def masks_page(policy: str, facts: str, passages: Sequence[dict]) -> str:
  """Returns the page.

  Args:
    policy: its name or directory.
    facts: what was done, for the line below the title.
    passages: as `viewer` takes them.
  """
  return page(f'Masks of {policy}', _body(policy, facts, passages))


def check(path: str | os.PathLike) -> None:
  """Raises `InputError` if there is a file that is not such a page."""
  path = pathlib.Path(path)
  try:
    if path.exists() and b'<title>Masks of ' not in path.read_bytes()[:4096]:
      raise InputError(f'{path} is there already, and is no page of masks.')
  except OSError as error:
    raise InputError(f'{path} cannot be written: {error.strerror}.') from error


def _body(policy, facts, passages) -> Markup:
  return join(
    element(
      'header',
      element('p', 'masklearn', class_='eyebrow'),
      element('h1', f'What {policy} masks'),
      element('p', facts),
    ),
    element('main', element('section', viewer(passages), id='masks')),
  )
