// The mask viewer: choose a passage, compare the policies token by token.
// Text enters the page through textContent only, so that no passage can run.
const viewer = document.querySelector('.viewer');
if (viewer) {
  const passages = JSON.parse(document.getElementById('viewer-data').textContent);
  const nav = viewer.querySelector('nav');
  const list = viewer.querySelector('.list');
  const search = viewer.querySelector('[type=search]');
  const stage = viewer.querySelector('.passages');
  const spoken = viewer.querySelector('.spoken');
  let shown = [];  // indices of the passages in the list
  let chosen = -1;  // index of the passage on the stage
  let tokens = [];  // per token of that passage: its element in every card
  let order = [];  // tokens that have an element, in reading order
  let at = -1;  // the token under the pointer or the arrow keys

  const make = (tag, text, properties = {}) =>
    Object.assign(document.createElement(tag), { textContent: text }, properties);

  function card(passage, [name, shares]) {
    const text = make('p', '', { className: 'text', dir: 'auto' });
    let span = -1;
    let inside = text;
    let asked = 0;
    for (const [words, token, place] of passage.fragments) {
      if (place !== span) {
        span = place;
        inside = text;
        if (span >= 0) {
          inside = make('u', '', { title: passage.labels[span] });
          text.append(inside);
        }
      }
      if (token < 0) {
        inside.append(words);
        continue;
      }
      const share = shares[token];
      if (span >= 0) asked += share;
      const element = make('span', words, { className: 't' });
      element.style.setProperty('--p', share);
      element.dataset.p = share.toFixed(2);
      element.dataset.token = token;
      inside.append(element);
      (tokens[token] ??= []).push(element);
    }
    const total = shares.reduce((sum, share) => sum + share, 0);
    const note = passage.labels.length && total
      ? `${Math.round(100 * asked / total)}% of the mask is on answers`
      : `${total.toFixed(1)} tokens masked`;
    const caption = make('figcaption', '');
    caption.append(make('b', name), ' ', make('small', note));
    const figure = make('figure', '', { className: 'card' });
    figure.append(caption, text);
    return figure;
  }

  function show(index) {
    chosen = index;
    tokens = [];
    at = -1;
    const passage = passages[index];
    const heading = make('h3', `${passage.group} `);
    heading.append(make('small', passage.about));
    const cards = make('div', '', { className: 'cards' });
    cards.append(...passage.policies.map((policy) => card(passage, policy)));
    const article = make('article', '', { className: 'passage' });
    article.append(heading, cards);
    stage.replaceChildren(article);
    order = Object.keys(tokens).map(Number);
    mark();
  }

  function mark() {
    for (const option of list.children) {
      const here = Number(option.dataset.index) === chosen;
      option.setAttribute('aria-selected', here);
      if (here) {
        list.setAttribute('aria-activedescendant', option.id);
        list.scrollTop = Math.min(
          Math.max(list.scrollTop, option.offsetTop + option.offsetHeight - list.clientHeight),
          option.offsetTop);
      }
    }
  }

  function fill() {
    const split = nav.querySelector('[name=split]:checked').value;
    const wanted = search.value.trim().toLowerCase();
    shown = [...passages.keys()].filter((index) => {
      const { group, id, split: own } = passages[index];
      return (!split || own === split) && `${group} ${id}`.toLowerCase().includes(wanted);
    });
    list.replaceChildren(...shown.map((index) => {
      const option = make('div', passages[index].group, { id: `passage-${index}` });
      option.setAttribute('role', 'option');
      option.dataset.index = index;
      option.append(make('small', passages[index].split));
      return option;
    }));
    if (!shown.length) list.append(make('p', 'No such passage'));
    if (shown.length && !shown.includes(chosen)) show(shown[0]);
    mark();
  }

  function point(token) {
    if (token === at) return;
    tokens[at]?.forEach((element) => element.classList.remove('at'));
    tokens[token]?.forEach((element) => element.classList.add('at'));
    at = token;
  }

  list.addEventListener('click', ({ target }) => {
    const option = target.closest('[role=option]');
    if (option) show(Number(option.dataset.index));
  });
  list.addEventListener('keydown', (event) => {
    const last = shown.length - 1;
    const now = shown.indexOf(chosen);
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: last }[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    show(shown[Math.min(Math.max(next, 0), last)]);
  });
  nav.addEventListener('input', fill);

  stage.tabIndex = 0;
  stage.setAttribute('role', 'group');
  stage.setAttribute('aria-label', 'Passage; left and right arrows read token by token');
  stage.addEventListener('pointerover', ({ target }) => {
    point(target.dataset.token === undefined ? -1 : Number(target.dataset.token));
  });
  stage.addEventListener('pointerleave', () => point(-1));
  stage.addEventListener('keydown', (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === 'Escape') point(-1);
    if (!move || !order.length) return;
    event.preventDefault();
    const next = at < 0 ? 0 : order.indexOf(at) + move;
    point(order[Math.min(Math.max(next, 0), order.length - 1)]);
    const shares = passages[chosen].policies.map(([name, p]) => `${name} ${p[at].toFixed(2)}`);
    spoken.textContent = `${tokens[at][0].textContent}: ${shares.join(', ')}`;
  });

  nav.hidden = false;
  const test = passages.findIndex(({ split }) => split === 'test');
  chosen = Math.max(test, 0);
  fill();
  if (passages.length) show(chosen);
}
