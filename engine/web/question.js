// One item on the screen: number, stem, answer area, and how far its answer has come.

import { link } from './api.js';
import { fill, h, setText } from './dom.js';
import { inputsOf, spells } from './items.js';
import { stemNodes } from './stem.js';
import { encode, plainDecimal } from './values.js';
import { t } from './words.js';

const STAGES = ['local', 'saved', 'recorded'];
const CLEARABLE = new Set(['single', 'true_false']); // the others are emptied where they stand

/** Brings back what was typed but could not be sent, and forgets spellings of numbers that changed elsewhere. */
export function restoreDrafts(items, journal) {
  for (const item of items) {
    const draft = journal.draft(item.id);
    if (draft === undefined) continue;
    const { fault } = encode(item, draft);
    if (fault) journal.restoreFault(item.id, fault);
    else if (item.type !== 'numeric' || !spells(draft, journal.value(item.id))) journal.dropDraft(item.id);
  }
}

/**
 * The panel of `item`: {element, state, heading, flush(), update()}; `state` stands where it is always seen. `stopped`: this
 * page sends nothing any more. `redraw` builds it anew.
 */
export function questionOf(item, { count, journal, figures, readonly, stopped, redraw }) {
  const report = (typed) => {
    const { json, fault } = encode(item, typed);
    if (fault) journal.writeFaulty(item.id, typed, fault);
    else journal.write(item.id, json, item.type === 'numeric' && json !== 'null' ? typed : undefined);
  };
  const value = journal.value(item.id);
  const inputs = inputsOf(item, { value, draft: journal.draft(item.id), figures, readonly, report, hold: () => journal.hold(item.id) });
  const trouble = h('p', { class: 'trouble-line', id: 'trouble', role: 'status' });
  const stages = h('ol', { class: 'stages', 'aria-hidden': 'true' }, STAGES.map((stage) => h('li', {}, t(`state.${stage}`))));
  const said = h('p', { class: 'state-says' });
  const state = h('div', { class: 'state' }, stages, said);
  const clear = CLEARABLE.has(item.type) && !readonly && h('button', { type: 'button', class: 'quiet', id: 'clear', onclick: () => {
    journal.write(item.id, 'null');
    redraw();
  } }, t('exam.clear'));
  const elsewhere = h('div');
  const heading = h('h1', { tabIndex: -1, class: 'question-number' }, t('exam.number', { number: item.number }),
    h('small', {}, t('exam.of', { count })));

  function update() {
    const now = journal.state(item.id);
    const reached = STAGES.indexOf(now);
    for (const [index, stage] of [...stages.children].entries()) stage.className = index <= reached ? 'reached' : '';
    state.dataset.state = now;
    stages.hidden = reached === -1;
    const local = stopped ? 'state.local_stopped_says' : link.up ? 'state.local_says' : 'state.local_offline_says';
    setText(said, t(now === 'none' ? 'state.none' : now === 'local' ? local : `state.${now}_says`));
    said.title = journal.refusal(item.id);
    const faulty = troubleText(item, journal);
    if (faulty && !trouble.textContent) requestAnimationFrame(() => trouble.scrollIntoView({ block: 'nearest' }));
    setText(trouble, faulty);
    if (clear) clear.disabled = journal.value(item.id) === null;
    if (elsewhere.dataset.aside !== journal.aside(item.id)) fill(elsewhere, asideBox());
  }

  function asideBox() {
    const json = journal.aside(item.id);
    if (json === undefined) return null;
    elsewhere.dataset.aside = json;
    const settle = (takeUp) => async () => {
      await journal.settle(item.id, takeUp);
      redraw();
    };
    return h('section', { class: 'aside' }, h('p', {}, t('aside.title')), h('p', { class: 'aside-value' }, shown(item, JSON.parse(json)) || t('aside.blank')),
      !readonly && h('div', { class: 'actions' },
        h('button', { type: 'button', onclick: settle(true) }, t('aside.take')),
        h('button', { type: 'button', onclick: settle(false) }, t('aside.drop'))));
  }

  const how = item.type === 'multiple' ? `how.${item.marking ?? 'exact'}` : `how.${item.type}`;
  const element = h('article', { class: 'question', 'data-item': item.id },
    h('header', { class: 'question-head' }, heading,
      h('p', { class: 'kind' }, h('strong', {}, t(`type.${item.type}`)), h('span', {}, t('exam.points', { points: plainDecimal(item.points) })),
        h('span', { class: 'how' }, t(how)))),
    h('div', { class: 'stem' }, stemNodes(item.stem, figures)),
    elsewhere, inputs.element, trouble,
    h('footer', { class: 'question-foot' }, clear));
  update();
  return { element, state, heading, update, flush: inputs.flush };
}

function troubleText(item, journal) {
  const fault = journal.fault(item.id);
  if (!fault) return '';
  const value = journal.value(item.id);
  const counts = value === null ? t('fault.counts_none') : item.type === 'text' ? t('fault.counts_text') : t('fault.counts', { value: shown(item, value) });
  return `${t(fault)} ${counts}`;
}

/** A value as the candidate knows it: letters as displayed, never option ids. */
function shown(item, value) {
  if (value === null) return '';
  const letter = (id) => String.fromCharCode(65 + item.shown.findIndex((option) => option.id === id));
  switch (item.type) {
    case 'single': return letter(value);
    case 'multiple': return value.map(letter).sort().join('');
    case 'true_false': return t(String(value));
    case 'fill': return value.join('；');
    case 'numeric': return plainDecimal(value);
    default: return value;
  }
}
