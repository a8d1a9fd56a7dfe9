"""HTML that is escaped by construction, and the one document that holds it.

A plain string can only become text, and what text cannot hold is made visible. The
document carries its style and script and loads nothing.
"""

import base64
import hashlib
import html
import json
import pathlib
import string
from typing import Any

from masklearn.io.visible import visible

_HERE = pathlib.Path(__file__).parent
_VOID = frozenset({'input', 'meta', 'br'})


class Markup(str):
  """HTML that is already safe to write; every other string is text."""

  __slots__ = ()


def element(tag: str, *children: Any, **attributes: Any) -> Markup:
  """Returns `<tag attributes>children</tag>`, with text and values escaped.

  A child is Markup, text, a number, a list of children, or None for nothing. An
  attribute that is None or False is left out and True has no value; `class_` and
  `data_x` become `class` and `data-x`.
  """
  parts = [tag]
  for name, value in attributes.items():
    name = name.rstrip('_').replace('_', '-')
    if value is True:
      parts.append(name)
    elif value is not None and value is not False:
      parts.append(f'{name}="{escape(value)}"')
  opening = f'<{" ".join(parts)}>'
  return Markup(opening if tag in _VOID else f'{opening}{join(*children)}</{tag}>')


def join(*children: Any) -> Markup:
  """Returns the children one after the other, escaped like those of an element."""
  return Markup(''.join(map(_child, children)))


def json_block(name: str, value: Any) -> Markup:
  """Returns a data block that scripts can read; no text in it can end the block."""
  value = _visible(value)
  text = json.dumps(value, ensure_ascii=False, separators=(',', ':'), allow_nan=False)
  for char in '<>&\u2028\u2029':
    text = text.replace(char, f'\\u{ord(char):04x}')
  return Markup(f'<script type="application/json" id="{name}">{text}</script>')


def escape(text: Any) -> str:
  """Returns a string as text or the value of an attribute, in HTML and in SVG."""
  return html.escape(visible(str(text)))


def page(title: str, body: Markup) -> str:
  """Returns the document.

  Its policy lets only our own script run, by its hash: text that slipped through
  the escaping could still not execute, and nothing can be fetched.
  """
  script = _asset('page.js')
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  return string.Template(_asset('page.html')).substitute(
    title=escape(title),
    hash=f'sha256-{digest}',
    style=_asset('page.css'),
    body=body,
    script=script,
  )


def _child(child: Any) -> str:
  if child is None:
    return ''
  if isinstance(child, Markup):
    return child
  if isinstance(child, list | tuple):
    return join(*child)
  return escape(child)


def _visible(value: Any) -> Any:
  if isinstance(value, str):
    return visible(value)
  if isinstance(value, list | tuple):
    return [_visible(item) for item in value]
  if isinstance(value, dict):
    return {_visible(key): _visible(item) for key, item in value.items()}
  return value


def _asset(name: str) -> str:
  return (_HERE / name).read_text(encoding='utf-8')
