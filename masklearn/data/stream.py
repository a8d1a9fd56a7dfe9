"""The documents of a file, one after the other, and where in the file each ends.

Plain text if the name ends with .txt, otherwise our own JSON lines: `formats.text` and
`formats.json_lines`, plain or compressed, read from any offset on. Only one document is
in memory at a time, so ids are not checked to be different.
"""

from collections.abc import Iterator

from masklearn.data import formats
from masklearn.io.corpus_files import Source
from masklearn.io.lines import Lines, stem, unpacked
from masklearn.io.records import Record


class Documents(Lines):
  """The documents of a file from an offset on; a context manager and an iterator.

  Yields a `Record` of a `Passage`, or of what is wrong in its place, which is a
  `records.Line`. `offset` is where the record ends that was given last.
  """

  def __iter__(self) -> Iterator[Record]:
    source = Source(str(self.path), stem(self.path.name))
    plain = unpacked(self.path.name).endswith('.txt')
    read = formats.text if plain else formats.json_lines
    return read(source, super().__iter__())
