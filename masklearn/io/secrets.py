"""Commands and other texts without the passwords and keys in them, to be published.

What looks like a credential is known by its name (`--password=..`, `api_key: ..`), by
its place (https://user:password@host) or by its form (`hf_..`, `AKIA..`, `Bearer ..`).
A secret that has none of these is not found.
"""

import contextlib
import re
import shlex
from collections.abc import Iterable
from typing import Any

LEFT_OUT = 'REDACTED'

# The last word of a name decides, so that `tokenizer` and `token_dropout` are none;
# in names that are run together, as accessToken, the ending.
_NAME = (
  r'(?:(?:[a-z0-9_.-]*[_.-])?(?:pwd|pw|pat|sas|sig|signature|jwt|auth|authorization|cookie'
  r'|passphrase|credentials?|bearer'
  r'|(?:api|access|account|private|shared|encryption|signing)[_-]?key(?:[_-]?id)?)'
  r'|[a-z0-9_.-]*(?:token|secret|password|passwd|secrets?[_-]?key|api[_-]?key))'
)
_KEY = re.compile(rf'(?i){_NAME}')
_HARMLESS = re.compile(r'(?i)|true|false|none|null')
_VALUE = r'(?P<value>"[^"]*"|\'[^\']*\'|[^\s"\'&,;|})\]]+)'
# NAME=value, NAME: value, "NAME": "value"; and --NAME value.
_NAMED = re.compile(
  rf'(?i)(?P<before>(?<![a-z0-9_.-]){_NAME}["\']?\s*(?:[=:]|%3d)\s*'
  rf'(?:(?:bearer|basic|token)\s+)?|(?<![a-z0-9_.-])--{_NAME}\s+){_VALUE}'
)
_AFTER = re.compile(
  r'(?i)(?P<before>\b(?:bearer|basic)\s+)(?P<value>(?=[a-z.~+/_-]*[\d=])[\w.~+/=-]{8,})'
)
_USER = re.compile(
  r'(?i)(?P<before>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://)(?P<value>[^\s/?#"\'<>]+)(?=@)'
)
# The prefixes that issuers give to their keys, as in the lists of
# https://github.com/gitleaks/gitleaks and https://github.com/Yelp/detect-secrets.
_FORMS = re.compile(
  r'-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)'
  r'|(?<![A-Za-z0-9])(?:(?:hf|api_org)_[A-Za-z0-9]{16,}'
  r'|gh[opusr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|gl[a-z]{2,4}-[\w-]{16,}'
  r'|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}'
  r'|AIza[\w-]{30,}|ya29\.[\w-]+|GOCSPX-[\w-]{16,}'
  r'|sk-[\w-]{16,}|[rs]k_(?:live|test)_[A-Za-z0-9]{8,}'
  r'|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{16,}'
  r'|dop_v1_[a-f0-9]{16,}|dapi[a-f0-9]{32}|r8_[A-Za-z0-9]{20,}|SG\.[\w-]{16,}\.[\w-]+'
  r'|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)',
  re.DOTALL,
)
# Options within options, --config.corpus.beam=--password=..
_OPTIONS = re.compile(r'(?:-*[\w.-]+=)+')


def redact(value: Any) -> Any:
  """A text without what looks like a credential, or such a JSON value.

  Args:
    value: a string, or what JSON can hold; in an object, the names count too.

  >>> redact('https://me:hunter2@host/x --api_key=abc --config.learn.token_dropout=0.1')
  'https://REDACTED@host/x --api_key=REDACTED --config.learn.token_dropout=0.1'
  """
  if isinstance(value, str):
    return _redact_text(value)
  if isinstance(value, list | tuple):
    return [redact(item) for item in value]
  if isinstance(value, dict):
    return {redact(key): _redact_item(key, item) for key, item in value.items()}
  return value


def redact_arguments(arguments: Iterable[str]) -> list[str]:
  """The arguments of a command without what looks like a credential.

  >>> redact_arguments(['--config.corpus.beam=--password=a b', '--token', 'abc', 'x'])
  ['--config.corpus.beam=--password=REDACTED', '--token', 'REDACTED', 'x']
  """
  found: list[str] = []
  named = False  # whether the argument before is an option that wants a secret
  for argument in arguments:
    found.append(LEFT_OUT if named else _redact_argument(argument))
    named = argument.startswith('--') and bool(_KEY.fullmatch(argument))
  return found


def redact_command(command: str) -> str:
  """A command line without what looks like a credential.

  >>> redact_command("python -m x '--config.corpus.path=s3://key:pass@b/a b'")
  "python -m x '--config.corpus.path=s3://REDACTED@b/a b'"
  """
  with contextlib.suppress(ValueError):  # of what no shell would take
    command = shlex.join(redact_arguments(shlex.split(command)))
  return redact(command)


def _redact_text(text: str) -> str:
  text = _FORMS.sub(LEFT_OUT, text)
  for pattern in (_USER, _NAMED, _AFTER):
    text = pattern.sub(_without_value, text)
  return text


def _without_value(found: re.Match) -> str:
  if _HARMLESS.fullmatch(found['value']):
    return found[0]
  return found['before'] + LEFT_OUT


def _redact_item(key: Any, item: Any) -> Any:
  if isinstance(item, str) and item and _KEY.fullmatch(str(key)):
    return LEFT_OUT
  return redact(item)


def _redact_argument(argument: str) -> str:
  options = _OPTIONS.match(argument)
  names = options[0].split('=')[:-1] if options else []
  for count, name in enumerate(names, start=1):
    if _KEY.fullmatch(name):
      # All that follows: a password may hold spaces and quotes.
      rest = argument.split('=', count)[count]
      before = '='.join(names[:count])
      return argument if _HARMLESS.fullmatch(rest) else f'{before}={LEFT_OUT}'
  return redact(argument)
