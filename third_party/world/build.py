"""Builds masklearn/tasks/world.jsonl from profiles of the CIA World Factbook.

python third_party/world/build.py PROFILES.jsonl.gz masklearn/tasks/world.jsonl

PROFILES has one JSON object a line: {name, fields: [["Section > Field", text]]},
cut from factbook/factbook.json at the commit in third_party/datasets.toml (public
domain). The table has one country a line: {country, facts: {kind: [answer, ...]}}.
The first answer is the one that prose uses; the others count as right, too.
"""

import gzip
import json
import os
import pathlib
import re
import sys
import unicodedata

LONGEST = 4  # words of an answer
FEWEST = 8  # kinds of fact that a country needs, its capital among them

# Names that are too long for prose, inverted, or come with a second name.
NAMES = {
  'Cocos (Keeling) Islands': 'Cocos Islands',
  'Congo (Brazzaville)': 'Congo Republic',
  'Congo, Democratic Republic of the': 'DR Congo',
  'Congo, Republic of the': 'Congo Republic',
  'Czech Republic': 'Czechia',
  'Democratic Republic of the Congo': 'DR Congo',
  'DRC': 'DR Congo',
  'Falkland Islands (Islas Malvinas)': 'Falkland Islands',
  'Federated States of Micronesia': 'Micronesia',
  'Gaza, Gaza Strip': 'Gaza Strip',
  'Holy See': 'Vatican City',
  'Holy See (Vatican City)': 'Vatican City',
  'Macedonia': 'North Macedonia',
  'NZ': 'New Zealand',
  'Republic of the Congo': 'Congo Republic',
  'S. Korea': 'South Korea',
  'Saint Helena, Ascension, and Tristan da Cunha': 'Saint Helena',
  'The Dominican': 'Dominican Republic',
  'UAE': 'United Arab Emirates',
  'UK': 'United Kingdom',
  'US': 'United States',
  'USA': 'United States',
}
SHORT = {
  'United Arab Emirates': 'UAE',
  'United Kingdom': 'UK',
  'United States': 'USA',
}

CURRENCIES = {
  'Aruban guilders/florins': ['Aruban guilders', 'Aruban florins'],
  'Communaute Financiere Africaine francs': ['West African CFA francs', 'CFA francs'],
  'Comptoirs Francais du Pacifique francs': ['CFP francs'],
  'Cooperation Financiere en Afrique Centrale francs': [
    'Central African CFA francs',
    'CFA francs',
  ],
  'Coopération Financière en Afrique Centrale francs': [
    'Central African CFA francs',
    'CFA francs',
  ],
  'Guernsey pound': ['Guernsey pounds'],
  'konvertibilna markas': ['convertible marks', 'konvertibilna markas'],
  'Renminbi yuan': ['yuan', 'renminbi', 'renminbi yuan'],
}
# Units whose singular is the plural without its s; not colones, meticais, quetzales.
UNITS = """
  afghani balboa bolivar boliviano cedi cordoba dalasi denar dinar dirham dobra dollar
  dram escudo euro florin forint franc gourde guilder kip kwacha kyat lari lempira lira
  manat mark naira ouguiya peso pound pula real rial riel ringgit riyal ruble rupee
  shekel shilling som
"""

# Families of churches; the longer name stays an accepted answer.
RELIGIONS = {
  'Apostolic Sect': ['Apostolic'],
  'Buddhism': ['Buddhist', 'Buddhism'],
  'Catholic': ['Roman Catholic', 'Catholic'],
  'Church of Norway': ['Lutheran', 'Church of Norway'],
  'Church of Sweden': ['Lutheran', 'Church of Sweden'],
  'Congregational Christian Church': ['Congregational'],
  'Eastern Orthodox Christian': ['Eastern Orthodox', 'Orthodox'],
  'Evangelical Lutheran': ['Lutheran', 'Evangelical Lutheran'],
  'Evangelical Lutheran Church of Iceland': ['Lutheran', 'Evangelical Lutheran'],
  'Islam': ['Muslim', 'Islam'],
  'Roman Catholic': ['Roman Catholic', 'Catholic'],
  'Shintoism': ['Shinto', 'Shintoism'],
  'Sunni Muslim': ['Muslim', 'Sunni Muslim'],
}

# Of these countries the source names the anthem of the crown, not their own.
CROWN_ANTHEMS = {
  'De Wilhelmus': [],
  'God Save the King': ['New Zealand', 'United Kingdom'],
  'Het Wilhelmus': [],
  'Kongesangen': [],
  'Kungssangen': [],
  'Phleng Sanlasoen Phra Barami': [],
}

# (country, kind) -> answers, where a rule would read the field wrongly, or [] where
# the field gives no such fact (a capital stands in for a larger city that it omits).
CORRECTIONS = {
  ('Belize', 'largest_city'): [],
  ('Burma', 'capital'): ['Rangoon', 'Yangon', 'Nay Pyi Taw'],
  ('Eswatini', 'largest_city'): [],
  ('Italy', 'highest_point'): ['Mont Blanc de Courmayeur'],
  ('Kyrgyzstan', 'language'): ['Kyrgyz', 'Russian'],
  ('Micronesia', 'largest_city'): [],
  ('Moldova', 'capital'): ['Chisinau', 'Kishinev'],
  ('Nauru', 'capital'): ['Yaren'],
  ('Niger', 'government'): [],
  ('Norway', 'language'): ['Norwegian', 'Bokmal Norwegian', 'Nynorsk Norwegian'],
  ('Palau', 'largest_city'): [],
  ('Peru', 'currency'): ['nuevos soles', 'nuevo sol'],
  ('San Marino', 'largest_city'): [],
  ('Spain', 'highest_point'): ['Pico de Teide', 'Teide'],
  ('Tanzania', 'largest_city'): ['Dar es Salaam'],
  ('Turkey', 'region'): ['Southwestern Asia', 'Southeastern Europe'],
  ('United States', 'currency'): ['US dollars', 'US dollar'],
  ('United States', 'largest_city'): ['New York', 'New York City'],
}


def outside(text: str) -> str:
  """Drops what stands in brackets, nested ones too, and tidies the spaces."""
  while (bare := re.sub(r'\([^()]*\)|\[[^\[\]]*\]', '', text)) != text:
    text = bare
  return ' '.join(text.split())


def others(text: str) -> list[str]:
  """Names in brackets right after the first one: 'Hanoi (Ha Noi)' -> ['Ha Noi']."""
  found = re.match(r'[^(;,]*\(([A-Z][^()]*)\)', text)
  names = re.split(r'[/,] *', found[1]) if found else []
  named = all(word[0].isupper() or word == 'de' for n in names for word in n.split())
  return names if named else []


def top_level(text: str) -> list[str]:
  """Splits at commas and semicolons that no bracket holds."""
  items, depth = [''], 0
  for letter in text:
    depth += (letter == '(') - (letter == ')')
    if letter in ',;' and not depth:
      items.append('')
    else:
      items[-1] += letter
  return [item.strip() for item in items]


def country_name(text: str) -> str:
  text = ' '.join(text.replace('&', 'and').replace('St. ', 'Saint ').split())
  text = re.sub(r'^(.*), The$', r'\1', NAMES.get(text, text))
  return re.sub('^The ', '', text)


def country_answers(text: str) -> list[str]:
  name = country_name(text)
  return [name, SHORT[name]] if name in SHORT else [name]


def capital(text):
  text = text.split('; note')[0]
  if text == 'Washington, D.C.':
    return [text, 'Washington']
  return re.split('[;,] *', outside(text)) + others(text)


def currency(text, plain):
  found = re.match(r'(.*?) (?:\([A-Z/]+\) )?per US dollar', text or plain)
  if plain.startswith(('the US dollar is used', 'the US dollar became')):
    return ['US dollars', 'US dollar']
  if not found:
    return []
  names = CURRENCIES.get(found[1], found[1].split(' or '))
  plural = [n for n in names if n[-1] == 's' and n.split()[-1][:-1] in UNITS.split()]
  return names + [n[:-1] for n in plural]


def government(text):
  for part in re.split('[;,] *', outside(text)):
    part = part.removeprefix('Republic of Cyprus - ').strip()
    part = re.split(' in name| in free association| that retains', part)[0]
    if re.search('(republic|monarchy|democracy|state|federation|regime|system)$', part):
      return part.split(' under a ')
  return []


def religion(text):
  name = re.split(r'[;,<]| more than| \d', outside(text))[0]
  if name in RELIGIONS:
    return RELIGIONS[name]
  if re.search('Church|Ekalesia', name):
    return []
  return [name, 'Orthodox'] if name.endswith(' Orthodox') else name.split(' or ')


def highest_point(text):
  name = re.split(r' \d| pre-eruption| on |, ', outside(text))[0]
  if not name[:1].isupper() or name.endswith((' range', ' Island')):
    return []
  names = name.split('/') + others(text)
  return [re.sub(r'^Mt\. ', 'Mount ', n) for n in names]


def largest_city(text):
  best, answers = 0, []
  for part in re.split(r', (?=\d)|; ', text):
    # The unit goes by the number: the source has '1.454 Chon Buri' and
    # '872,000 million Hufuf-Mubarraz'.
    if found := re.match(r'([\d.,]+)(?: million)? (.*)', part):
      size = float(found[1].replace(',', '')) * (1e6 if '.' in found[1] else 1)
      if size > best:
        best, answers = size, [outside(found[2]), *others(found[2])]
  return answers


def language(text, plain):
  items = [i for i in top_level(text or plain) if not i.startswith('other')]
  mark = re.compile(r'\([^()]*official(?! minority| in | regional)')
  official = [item for item in items if mark.search(item)]
  answers = []
  for item in official or items[:1]:
    name = re.split(r' [\d<]| only| less than| languages', outside(item))[0]
    answers += re.split('/| or | and ', name)
  return [a for a in answers if a[:1].isalpha()]


def neighbour(text):
  borders = re.findall(r'([^\d;]+?) ([\d,.]+) km', outside(text))
  borders.sort(key=lambda border: -float(border[1].replace(',', '')))
  names = [re.sub('^[ ,]*(and )?', '', name) for name, _ in borders]
  return [answer for name in names for answer in country_answers(name)]


def region(text, continent):
  text = re.split('[,;]| bordering', text)[0]
  text = re.sub('^metropolitan France: |^south (?=Central)', '', text)
  text = text.replace('north-eastern', 'Northeastern')
  # Some begin like 'archipelago in the Indian Ocean'.
  named = text[:1].isupper()
  return [text if named else continent.replace('Central America and the ', '')]


def export_partner(text):
  found = re.match(r'([A-Z][^\d%]*?) \d', text)
  return country_answers(found[1]) if found else []


def anthem(text):
  text = re.sub('[“”]', '"', text).replace('’', "'")
  found = re.match(r'"([^"]+)"(?: ?\("?([^()"]+)\))?$', text)
  names = [title.rstrip('!?. ') for title in found.groups() if title] if found else []
  return [n for n in names if not re.match('(The )?National Anthem', n)]


# Kind -> the fields that its rule reads, and the rule.
KINDS = {
  'capital': (['Government > Capital > name'], capital),
  'currency': (
    ['Economy > Exchange rates > Currency', 'Economy > Exchange rates'],
    currency,
  ),
  'government': (['Government > Government type'], government),
  'religion': (['People and Society > Religions'], religion),
  'highest_point': (['Geography > Elevation > highest point'], highest_point),
  'largest_city': (
    ['People and Society > Major urban areas - population'],
    largest_city,
  ),
  'language': (
    ['People and Society > Languages > Languages', 'People and Society > Languages'],
    language,
  ),
  'neighbour': (['Geography > Land boundaries > border countries'], neighbour),
  'region': (['Geography > Location', 'Geography > Map references'], region),
  'export_partner': (['Economy > Exports - partners'], export_partner),
  'anthem': (['Government > National anthem(s) > title'], anthem),
}


def folded(name: str) -> str:
  """Letters without accents, case and punctuation."""
  plain = unicodedata.normalize('NFKD', name)
  return ''.join(letter for letter in plain if letter.isalpha()).casefold()


def spelled(name: str, capitals: list[str]) -> str:
  """A city name out of capitals: 'N'DJAMENA' -> 'N'Djamena' as the capital has it."""
  for capital_name in capitals:
    if folded(name) == folded(capital_name):
      return capital_name
  return ' '.join(w.capitalize() if w.isupper() else w for w in name.split())


def facts(profile: dict) -> dict[str, list[str]]:
  """All facts of a profile that are clean, kind -> accepted answers."""
  fields = dict(profile['fields'])
  country = country_name(profile['name'])
  table = {}
  for kind, (paths, rule) in KINDS.items():
    answers = rule(*(fields.get(path, '') for path in paths))
    answers = CORRECTIONS.get((country, kind), answers)
    if kind == 'largest_city':
      answers = [spelled(a, table.get('capital', [])) for a in answers]
    crowned = CROWN_ANTHEMS.get(answers[0]) if answers else None
    if crowned is not None and country not in crowned:
      continue
    answers = [a.strip() for a in answers]
    answers = [a for a in dict.fromkeys(answers) if a and len(a.split()) <= LONGEST]
    if answers:
      table[kind] = answers
  return table


def main(profiles: str, output: str):
  with gzip.open(profiles, 'rt', encoding='utf-8') as lines:
    records = [json.loads(line) for line in lines]
  table = {country_name(record['name']): facts(record) for record in records}
  rows = [
    {'country': country, 'facts': table[country]}
    for country in sorted(table)
    if 'capital' in table[country] and len(table[country]) >= FEWEST
  ]
  lines = [json.dumps(row, ensure_ascii=False) + '\n' for row in rows]
  partial = pathlib.Path(f'{output}.partial')
  partial.write_bytes(''.join(lines).encode())
  os.replace(partial, output)


if __name__ == '__main__':
  main(*sys.argv[1:])
