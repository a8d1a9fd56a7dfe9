"""One HTML document that carries its style and script and loads nothing."""

import base64
import hashlib
import html
import pathlib
import string

from masklearn.report.markup import Markup

_HERE = pathlib.Path(__file__).parent


def page(title: str, body: Markup) -> str:
  """Returns the document.

  Its policy lets only our own script run, by its hash: text that slipped through
  the escaping could still not execute, and nothing can be fetched.
  """
  script = _asset('page.js')
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  return string.Template(_asset('page.html')).substitute(
    title=html.escape(title),
    hash=f'sha256-{digest}',
    style=_asset('page.css'),
    body=body,
    script=script,
  )


def _asset(name: str) -> str:
  return (_HERE / name).read_text(encoding='utf-8')
