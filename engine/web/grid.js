// The list of items: one button each, by section; shows what is answered, flagged or in trouble. One tab stop, arrows move.

import { h, setText } from './dom.js';
import { t } from './words.js';

/** `choose(index)` goes to an item. Returns {element, update(item | null), place(index)}. */
export function gridOf(items, journal, choose) {
  const cells = items.map((item, index) => h('button', { type: 'button', class: 'cell', tabIndex: -1, 'data-item': item.id, onclick: () => choose(index) },
    String(item.number)));
  const sections = grouped(items);
  const tally = h('p', { class: 'tally' });
  let current = 0;

  const blocks = [...sections].map(([section, own]) => h('section', { class: 'cells' },
    h('h3', {}, section.title), h('div', { class: 'cell-rows' }, own.map((item) => cells[item.number - 1]))));

  function update(item_id) {
    for (const item of item_id === null ? items : items.filter(({ id }) => id === item_id)) paint(item);
    const answered = items.filter((item) => journal.answered(item.id)).length;
    setText(tally, t('exam.answered', { answered, count: items.length }));
  }

  function paint(item) {
    const cell = cells[item.number - 1];
    const answered = journal.answered(item.id);
    const flagged = journal.flagged(item.id);
    const state = journal.state(item.id);
    const trouble = state === 'invalid' || state === 'refused' || journal.aside(item.id) !== undefined;
    cell.className = ['cell', answered && 'answered', flagged && 'flagged', trouble && 'trouble', state === 'local' && 'local'].filter(Boolean).join(' ');
    const said = [t('exam.number', { number: item.number }), t(answered ? 'cell.answered' : 'cell.open'), flagged && t('cell.flag'),
      trouble && t('exam.legend_trouble')];
    cell.setAttribute('aria-label', said.filter(Boolean).join('，'));
  }

  function place(index) {
    cells[current].tabIndex = -1;
    cells[current].removeAttribute('aria-current');
    current = index;
    cells[current].tabIndex = 0;
    cells[current].setAttribute('aria-current', 'true');
    cells[current].scrollIntoView({ block: 'nearest' });
  }

  function move(event) {
    const focused = cells.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -focused, End: cells.length - 1 - focused }[event.key];
    if (focused === -1 || step === undefined) return;
    event.preventDefault();
    cells[Math.min(cells.length - 1, Math.max(0, focused + step))].focus();
  }

  const legend = ['answered', 'open', 'flag', 'trouble'].map((name) =>
    h('li', {}, h('span', { class: `cell sample ${name === 'flag' ? 'flagged' : name}` }), t(`exam.legend_${name}`)));
  update(null);
  const element = h('nav', { class: 'grid', 'aria-label': t('exam.list') },
    h('div', { class: 'grid-head' }, h('h2', {}, t('exam.list')), tally),
    h('div', { class: 'grid-cells', onkeydown: move }, blocks),
    h('ul', { class: 'legend' }, legend));
  return { element, update, place };
}

function grouped(items) {
  const sections = new Map();
  for (const item of items) sections.set(item.section, [...(sections.get(item.section) ?? []), item]);
  return sections;
}
