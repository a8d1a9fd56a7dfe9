r"""Text that a page, a figure or a terminal can only show, never obey.

A control character has no place in XML, moves the cursor of a terminal, and may start a
command there; half of a surrogate pair cannot be written at all; an override of the
direction of writing turns around what stands after it. Each is shown for what it is.

>>> visible('a\x1b[2Jb'), visible('\x9b\ud800')
('a␛[2Jb', '\\x9b\\ud800')
"""

import re
import unicodedata

_LINES = '\t\n\r'
# What XML 1.0 forbids (section 2.2, Char), the second half of the control characters,
# and U+FFFE, U+FFFF: https://www.w3.org/TR/xml/#charsets
_HIDDEN = re.compile('[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]')
_SEPARATORS = dict.fromkeys('\u2028\u2029', '\u2424')  # drawn as "NL"
# Unicode's Bidirectional Algorithm, https://www.unicode.org/reports/tr9
_ISOLATE, _END = '\u2068', '\u2069'
_OPENING = '\u2066\u2067\u2068'
_DIRECTED = re.compile('[\u202a-\u202e\u2066-\u2069]')


def visible(text: str, keep: str = _LINES) -> str:
  """The text with a picture or an escape for each character that is not to be shown.

  Args:
    text: any string.
    keep: of the control characters, those that stay.
  """
  return _HIDDEN.sub(lambda found: _picture(found[0], keep), text)


def one_line(text: str, longest: int = 0) -> str:
  r"""A name or a message as one line, for a terminal or a label.

  Args:
    text: any string.
    longest: characters that are shown; 0 for all.

  >>> one_line('a\nb'), one_line('abcdef', longest=4)
  ('a␊b', 'abc…')
  """
  if longest and len(text) > longest:
    text = text[: longest - 1] + '\u2026'
  for separator, shown in _SEPARATORS.items():
    text = text.replace(separator, shown)
  return isolated(visible(text, keep=''))


def isolated(text: str) -> str:
  r"""The text, so marked that its direction of writing ends with it.

  Names in Arabic or Hebrew, and those with marks of direction of their own, would
  otherwise move the numbers and names around them.

  >>> isolated('civics')
  'civics'
  >>> isolated('\u202eabc').endswith('\u2069')
  True
  """
  if not _needs_isolation(text):
    return text
  parts, depth = [], 0
  for char in text:
    if char == _END and not depth:
      continue  # it would end what is around the text
    depth += (char in _OPENING) - (char == _END)
    parts.append(char)
  inner = ''.join(parts)
  if not depth and _is_isolate(inner):
    return inner
  return f'{_ISOLATE}{inner}{_END * depth}{_END}'


def _picture(char: str, keep: str) -> str:
  code = ord(char)
  if char in keep:
    return char
  if code < 0x20:
    return chr(0x2400 + code)
  if code == 0x7F:
    return '\u2421'
  if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no UTF-8
    return f'\\x{code - 0xDC00:02x}'
  return f'\\x{code:02x}' if code < 0x100 else f'\\u{code:04x}'


def _needs_isolation(text: str) -> bool:
  if text.isascii():
    return False
  return bool(_DIRECTED.search(text)) or any(
    unicodedata.bidirectional(char) in ('R', 'AL') for char in text
  )


def _is_isolate(text: str) -> bool:
  """Whether the first character opens what the last one ends."""
  if not (text.startswith(_ISOLATE) and text.endswith(_END)):
    return False
  depth = 0
  for i, char in enumerate(text):
    depth += (char in _OPENING) - (char == _END)
    if not depth:
      return i == len(text) - 1
  return False
