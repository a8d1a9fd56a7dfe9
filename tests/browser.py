"""Opens pages of hostile texts in headless Chromium, and counts who calls out.

python -m tests.browser --browser=chromium --screenshots=DIR

A server on this machine counts. Two pages are controls: the texts without escaping call
it, and with the policy of our pages (Content-Security-Policy) alone nearly none can.
Then the report, its figures and the page of masks, at two widths; every passage is
opened, every filter tried. A line of JSON a page; exit code 1 if one of ours called,
was changed, or is wider than its window.
"""

import base64
import contextlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

from experiments import app
from masklearn import report
from masklearn.report import page, viewer
from masklearn.types import InputError
from tests import hostile

WIDTHS = (1280, 390)  # CSS pixels: a desk and a telephone
SETTLE = 1.0  # seconds in which a page may call out
# What a reader can do on a page, and what a text could have done to it.
USE = """
(() => {
  document.querySelectorAll('details').forEach((d) => { d.open = true; });
  document.querySelectorAll('[role=option]').forEach((option) => option.click());
  document.querySelectorAll('[name=split]').forEach((input) => input.click());
  const search = document.querySelector('[type=search]');
  const press = (key) => new KeyboardEvent('keydown', { key, bubbles: true });
  const stage = document.querySelector('.passages');
  for (const key of ['ArrowRight', 'ArrowRight', 'Escape']) {
    stage?.dispatchEvent(press(key));
  }
  document.querySelectorAll('*').forEach((element) => {
    for (const name of ['mouseover', 'pointerover', 'focus', 'load', 'error']) {
      element.dispatchEvent(new Event(name, { bubbles: name.endsWith('over') }));
    }
    if (element.focus) element.focus();
  });
  if (search) {
    search.value = '<script>';
    search.dispatchEvent(new Event('input', { bubbles: true }));
    search.value = '';
    search.dispatchEvent(new Event('input', { bubbles: true }));
  }
})()
"""
STATE = """
JSON.stringify({
  title: document.title, owned: window.owned ?? 0, place: location.protocol,
  scripts: document.scripts.length, foreign: document.querySelectorAll(
    'iframe, img, link, base, object, embed, form, a[href]:not([href^="#"])').length,
  wide: document.documentElement.scrollWidth - innerWidth,
  passages: document.querySelectorAll('[role=option]').length,
})
"""

# The protocol is on descriptors 3 and 4.
PLACE = """
import os, sys
found = [os.dup(int(number)) for number in sys.argv[1:3] for _ in range(3)]
os.dup2(found[2], 3)
os.dup2(found[5], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Counter(http.server.ThreadingHTTPServer):
  """A server that notes every path it is asked for."""

  def __init__(self):
    self.paths: list[str] = []
    super().__init__(('127.0.0.1', 0), _Handler)
    threading.Thread(target=self.serve_forever, daemon=True).start()

  @property
  def url(self):
    """Where it listens."""
    return f'http://127.0.0.1:{self.server_port}'


class _Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    self.server.paths.append(self.path)
    self.send_response(204)
    self.end_headers()

  def log_message(self, *parts):
    pass


class Browser:
  """Chromium, spoken to over the pipes of its protocol for developers."""

  def __init__(self, program: str, profile: str):
    ours, its = os.pipe(), os.pipe()  # what it reads, what it writes
    flags = (
      '--headless --remote-debugging-pipe --no-sandbox --disable-gpu --no-first-run'
      ' --disable-background-networking --disable-component-update --disable-sync'
    )
    command = [program, *flags.split(), f'--user-data-dir={profile}', 'about:blank']
    self._process = subprocess.Popen(
      [sys.executable, '-c', PLACE, str(ours[0]), str(its[1]), *command],
      pass_fds=(ours[0], its[1]),
      stderr=subprocess.DEVNULL,
    )
    os.close(ours[0])
    os.close(its[1])
    self._out, self._in = os.fdopen(ours[1], 'wb'), os.fdopen(its[0], 'rb')
    self._number, self._session, self._rest = 0, None, b''
    targets = self.call('Target.getTargets')['targetInfos']
    target = next(t['targetId'] for t in targets if t['type'] == 'page')
    found = self.call('Target.attachToTarget', targetId=target, flatten=True)
    self._session = found['sessionId']

  def call(self, method: str, **parameters) -> dict:
    """The result of a method."""
    self._number += 1
    message = {'id': self._number, 'method': method, 'params': parameters}
    if self._session:
      message['sessionId'] = self._session
    self._out.write(json.dumps(message).encode() + b'\0')
    self._out.flush()
    while True:
      answer = self._next()
      if answer.get('id') == self._number:
        if 'error' in answer:
          raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']

  def evaluate(self, script: str):
    """The value of a script in the page."""
    found = self.call('Runtime.evaluate', expression=script, returnByValue=True)
    if 'exceptionDetails' in found:
      raise RuntimeError(found['exceptionDetails'])
    return found['result'].get('value')

  def show(self, path: pathlib.Path, width: int) -> dict:
    """What a page has become after it was used, and its picture."""
    size = {'width': width, 'height': 900, 'deviceScaleFactor': 1, 'mobile': False}
    self.call('Emulation.setDeviceMetricsOverride', **size)
    self.call('Page.navigate', url=path.as_uri())
    deadline = time.monotonic() + 30
    while self.evaluate('document.readyState') != 'complete':
      if time.monotonic() > deadline:
        raise RuntimeError(f'{path} does not load')
      time.sleep(0.05)
    time.sleep(SETTLE)
    passages = json.loads(self.evaluate(STATE))['passages']
    self.evaluate(USE)
    time.sleep(SETTLE)
    state = json.loads(self.evaluate(STATE)) | {'passages': passages}
    shot = self.call('Page.captureScreenshot', captureBeyondViewport=True)
    return state | {'picture': base64.b64decode(shot['data'])}

  def close(self):
    """Ends it."""
    with contextlib.suppress(BrokenPipeError, RuntimeError, OSError):
      self._session = None
      self.call('Browser.close')
    self._process.wait(20)

  def _next(self) -> dict:
    while b'\0' not in self._rest:
      data = os.read(self._in.fileno(), 1 << 20)
      if not data:
        raise RuntimeError('the browser has ended')
      self._rest += data
    message, _, self._rest = self._rest.partition(b'\0')
    return json.loads(message)


def pages(folder: pathlib.Path, server: Counter) -> dict[str, tuple[pathlib.Path, str]]:
  """Pages by name, with the title that each must keep; '' of a control."""
  text, made = hostile.payloads(server.url)
  study = hostile.build(folder / 'run', text)
  path = report.write_report(study)
  masks = folder / 'masks.html'
  rows = hostile.masks(text)
  masks.write_text(viewer.masks_page(text('policy'), text('about'), rows, {}))
  empty = page.page('', page.Markup(''))
  wall = re.search('<meta http-equiv[^>]*>', empty)[0]
  # Apart, as some end the page for those behind them.
  calling = [value for value in made.values() if 'refresh' not in value]
  frames = [t.replace('{u}', f'{server.url}/c') for t in calling]
  controls = {}
  for name, head in (('control', ''), ('control behind the policy', wall)):
    controls[name] = folder / f'{name.replace(" ", "-")}.html'
    body = '\n'.join(f'<div>{one}</div>' for one in frames)
    document = f'<!DOCTYPE html><meta charset="utf-8">{head}{body}'
    controls[name].write_text(document, encoding='utf-8', errors='replace')
  found = {name: (control, '') for name, control in controls.items()}
  found['report'] = path, 'Masking policies compared'
  found['page of masks'] = masks, 'Masks of'
  figures = sorted(path.parent.glob('*.svg'))
  return found | {f'figure {n}': (one, '') for n, one in enumerate(figures)}


def main(browser='chromium', screenshots=''):
  """Opens the pages, and says what they did."""
  failed = []
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    (folder / 'run').mkdir()
    server = Counter()
    found = pages(folder, server)
    try:
      program = Browser(browser, str(folder / 'profile'))
    except (OSError, RuntimeError) as error:
      raise InputError(f'--browser={browser} cannot be started: {error}.') from error
    try:
      for name, (path, title) in found.items():
        for width in WIDTHS:
          server.paths.clear()
          state = program.show(path, width)
          picture = state.pop('picture')
          if screenshots:
            file = pathlib.Path(screenshots) / f'{path.stem}-{width}.png'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture)
          line = {'page': name, 'width': width, 'calls': len(server.paths), **state}
          line['title'] = state['title'][:40]
          print(json.dumps(line), flush=True)
          too_wide = state['wide'] > 0 and path.suffix == '.html'  # figures have a size
          changed = state['owned'] or state['foreign'] or too_wide
          changed = changed or not state['title'].startswith(title)
          if name == 'control' and not server.paths:
            failed.append('the control, which does not call')
          if not name.startswith('control') and (server.paths or changed):
            failed.append(name)
    finally:
      program.close()
      server.shutdown()
  if failed:
    sys.exit(f'called out, or changed: {", ".join(dict.fromkeys(failed))}')
  print(
    f'{len(found) - 2} pages at {len(WIDTHS)} widths: none called out, none changed'
  )


if __name__ == '__main__':
  app.run(main)
