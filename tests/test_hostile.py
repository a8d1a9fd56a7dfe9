"""Text from corpora, files and names is shown in pages, figures and terminals, inert.

`python -m tests.browser` shows the same pages to a browser, and counts who calls.
"""

import html.parser
import io
import json
import re
import xml.etree.ElementTree as ET

import pytest
import rich.console

from experiments import report as main
from masklearn import report
from masklearn.io.progress import Progress
from masklearn.io.visible import isolated, one_line, visible
from masklearn.report import figures, viewer
from tests import hostile
from tests.runs import VOID, command

# What a page shows of what a study leaves; of the rest a report reads the numbers.
NOT_SHOWN = {
  'answer', 'question', 'source', 'variant', 'metric', 'value of a metric', 'overlap',
  'folder of a policy', 'part', 'commit', 'other commit', 'config', 'other config',
}  # fmt: skip
POLICIES = {f'policy {name}' for name in ('random', 'annotated', 'learned', 'mine')}
SVG = '{http://www.w3.org/2000/svg}'
ATTRIBUTES = {
  'aria-hidden', 'aria-label', 'charset', 'checked', 'class', 'clip-path', 'colspan',
  'content', 'd', 'data-p', 'dir', 'height', 'hidden', 'href', 'http-equiv', 'id',
  'lang', 'name', 'placeholder', 'role', 'scope', 'style', 'tabindex', 'title',
  'transform', 'type', 'value', 'version', 'viewbox', 'width', 'x', 'xlink:href',
  'xmlns', 'xmlns:xlink', 'y',
}  # fmt: skip


class Skeleton(html.parser.HTMLParser):
  """The elements of a page with their attributes, and its text apart."""

  def __init__(self, text):
    super().__init__()
    self.elements, self.open, self.text, self.data = [], [], [], []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attributes):
    """Notes the element."""
    self.elements.append((tag, dict(attributes)))
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attributes):
    """Notes an element of SVG that has no content."""
    self.elements.append((tag, dict(attributes)))

  def handle_endtag(self, tag):
    """Every end belongs to the element that was opened last."""
    assert self.open.pop() == tag

  def handle_comment(self, data):
    """Our pages have none."""
    raise AssertionError(data)

  def unknown_decl(self, data):
    """Nor sections of CDATA."""
    raise AssertionError(data)

  def handle_data(self, data):
    """Keeps what a reader sees apart from scripts and styles."""
    own = self.data if self.open[-1:] in (['script'], ['style']) else self.text
    own.append(data)

  @property
  def shape(self):
    """Every element in order, with the names of its attributes."""
    return [(tag, *attributes) for tag, attributes in self.elements]


@pytest.fixture(scope='module')
def pages(tmp_path_factory):
  """The directory, the texts and the page: first of harmless texts, then of hostile."""
  found = []
  for text, made in (hostile.harmless(), hostile.payloads()):
    folder = hostile.build(tmp_path_factory.mktemp('run'), text)
    path = report.write_report(folder)
    found.append((folder, made, Skeleton(path.read_text(encoding='utf-8'))))
  return found


def test_a_page_of_hostile_texts_has_the_elements_of_any_other(pages):
  """In the same order, with the same attributes, whose values load and run nothing."""
  (_, _, plain), (_, _, page) = pages
  assert page.open == []
  assert page.shape == plain.shape
  assert {name for _, attributes in page.elements for name in attributes} <= ATTRIBUTES
  for tag, attributes in page.elements:
    for name in ('href', 'xlink:href'):
      assert re.fullmatch(r'#[\w-]+', attributes.get(name, '#a')), (tag, attributes)
    style = attributes.get('style', '')
    assert not re.search(r'url\((?!#)|@|http|expression', style), (tag, style)
  scripts = [attributes for tag, attributes in page.elements if tag == 'script']
  assert scripts == [{'type': 'application/json', 'id': 'viewer-data'}, {}]
  # Styles and the script; what it reads stands before it.
  assert page.data[:-2] + page.data[-1:] == plain.data[:-2] + plain.data[-1:]


def test_every_text_is_readable(pages):
  """As it was, but for characters that no page can hold, which are seen as such."""
  _, (_, made, page) = pages
  marks = ''.join(map(chr, (*range(0x2066, 0x206A), *range(0x202A, 0x202F))))
  values = [value for _, attributes in page.elements for value in attributes.values()]
  words = ' '.join(''.join(page.text + list(filter(None, values))).split())

  def without_marks(text):
    return ' '.join(text.translate(dict.fromkeys(map(ord, marks))).split())

  words = without_marks(words)
  for place, text in made.items():
    if place not in NOT_SHOWN | POLICIES and 'folder' not in place:
      assert without_marks(visible(text)).replace('_', ' ') in words.replace(
        '_', ' '
      ), place
  names = {text for passage in json.loads(page.data[-2]) for text in (passage['id'],)}
  assert names == {visible(made[f'id {s}']) for s in ('test', 'train', made['split'])}


def test_figures_are_well_formed_and_inert(pages):
  """Each file is XML of the same elements; names stand in it as text."""
  tags = []
  for folder, made, _ in pages:
    found = sorted(folder.glob('report/*.svg'))
    roots = [ET.parse(path).getroot() for path in found]
    elements = [element for root in roots for element in root.iter()]
    tags.append(sorted(element.tag for element in elements))
    for element in elements:
      for name, value in element.attrib.items():
        assert not name.startswith('on'), (name, value)
        if name.endswith('href'):
          assert value.startswith('#')
    texts = {element.text for element in elements if element.tag == f'{SVG}text'}
    assert one_line(made['title mine'], figures._ROOM) in texts
  assert tags[0] == tags[1]
  assert not {f'{SVG}script', f'{SVG}a', f'{SVG}image'} & set(tags[1])


def test_a_terminal_gets_no_commands(pages, capsys):
  """In the table, in lines of progress, and in names of stages."""
  _, (folder, made, _) = pages
  out = io.StringIO()
  rich.console.Console(file=out, width=200).print(report.table(folder))
  with Progress() as progress:
    for text in made.values():
      progress.say(text)
      progress.start(text, 3)
  for shown in (out.getvalue(), capsys.readouterr().err):
    assert not set(re.findall('[\x00-\x1f\x7f-\x9f]', shown)) - {'\n'}
    assert '[link=http' in shown  # what rich would obey is text as well


def test_a_message_of_error_is_one_line_and_no_command(tmp_path, capsys):
  """Whatever a user's file is called."""
  for payload in hostile.PAYLOADS:
    folder = tmp_path / hostile.in_a_path(payload)
    folder.mkdir()
    assert command(main.main, f'--workdir={folder}') == 2
    said = capsys.readouterr().err
    assert 'is no work directory of a study' in said
    assert re.findall('[\x00-\x1f\x7f-\x9f]', said) == ['\n']
  hostile.write(folder, [hostile.row('random', 0.5)])
  assert command(main.main, f'--workdir={folder}') == 0
  assert 'index.html' in capsys.readouterr().out.replace('\n', '')


def test_the_page_of_masks_is_inert():
  """The names and texts of a user's file, also in the title."""
  shapes = []
  for text, made in (hostile.harmless(), hostile.payloads()):
    rows = hostile.masks(text)
    page = Skeleton(viewer.masks_page(text('p'), text('about'), rows, {}))
    shapes.append(page.shape)
    assert visible(made['p']) in ''.join(page.text)
  assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
  ('text', 'shown'),
  [
    ('\x00\x07\x1b[0m\x7f', '␀␇␛[0m␡'),
    ('\x80\x9b', '\\x80\\x9b'),
    ('\ud800\udcff\ufffe', '\\ud800\\xff\\ufffe'),
    ('a\tb\nc\rd', 'a␉b␊c␍d'),
    ('\u2028\u2029', '␤␤'),
    ('\u202eabc', '\u2068\u202eabc\u2069'),
    ('שלום', '\u2068שלום\u2069'),
    ('\u2067a', '\u2068\u2067a\u2069\u2069'),
    ('a\u2069b\u2066', '\u2068ab\u2066\u2069\u2069'),
    ('🇵🇪 Peru é\u200d\u00ad', '🇵🇪 Peru é\u200d\u00ad'),
  ],
)
def test_what_cannot_be_shown_is_seen(text, shown):
  """Twice makes it no other; on a page lines and tabs stay."""
  assert one_line(text) == shown
  assert one_line(shown) == shown
  assert visible('a\tb\nc') == 'a\tb\nc'
  assert isolated(isolated(text)) == isolated(text)
  one_line(text).encode()


def test_figures_whose_names_differ_in_signs_alone_have_files_of_their_own(tmp_path):
  """And a name may be as long as it likes."""
  rows = []
  for task in ('a b', 'a-b', 'a–b', 'é' * 300, 'é' * 299 + 'e'):
    rows += [hostile.row(p, 0.5, task=task) for p in ('random', 'learned')]
  report.write_report(hostile.write(tmp_path, rows))
  names = {path.name for path in tmp_path.glob('report/*.svg')}
  assert {'em-a-b.svg', 'em-a-b-2.svg', 'em-a-b-3.svg'} < names
  assert len(names) == 5
  assert max(len(name.encode()) for name in names) < 120
