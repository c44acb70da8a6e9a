// One item on the screen: number, stem, answer area, and how far its answer has come.

import { html, useLayoutEffect, useRef } from './html.js';
import { Inputs, spells } from './items.js';
import { linkUp } from './live.js';
import { Stem } from './stem.js';
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

/** The panel of `item`; `exam` is what exam.js made. Its key is the item and how often its fields were built anew. */
export function Question({ exam, item }) {
  const { followed, figures, items } = exam;
  const journal = followed.of(item.id);
  const readonly = exam.mode() !== null;
  const report = (typed) => {
    const { json, fault } = encode(item, typed);
    if (fault) journal.writeFaulty(item.id, typed, fault);
    else journal.write(item.id, json, item.type === 'numeric' && json !== 'null' ? typed : undefined);
  };
  const clear = () => {
    journal.write(item.id, 'null');
    document.querySelector('.question input')?.focus(); // the button that was pressed is about to go
  };
  const how = item.type === 'multiple' ? `how.${item.marking ?? 'exact'}` : `how.${item.type}`;
  return html`<article class="question" data-item=${item.id} aria-labelledby="question-number" tabindex=${item.group && readonly ? 0 : null}>
    <header class="question-head">
      <h1 tabindex="-1" class="question-number" id="question-number" aria-describedby=${item.group && 'material-name'}>${t('exam.number', { number: item.number })}<small>${t('exam.of', { count: items.length })}</small></h1>
      <p class="kind"><strong>${t(`type.${item.type}`)}</strong><span>${t('exam.points', { points: plainDecimal(item.points) })}</span><span class="how">${t(how)}</span></p>
    </header>
    <div class="stem" id="stem"><${Stem} text=${item.stem} figures=${figures} /></div>
    <${Aside} exam=${exam} item=${item} readonly=${readonly} />
    <${Inputs} item=${item} value=${journal.value(item.id)} draft=${journal.draft(item.id)} figures=${figures} readonly=${readonly}
      report=${report} hold=${() => journal.hold(item.id)} typing=${exam.typing} />
    <${Trouble} text=${troubleText(item, journal)} />
    ${CLEARABLE.has(item.type) && !readonly && html`<footer class="question-foot">
      <button type="button" class="quiet" id="clear" disabled=${journal.value(item.id) === null} onclick=${clear}>${t('exam.clear')}</button></footer>`}
  </article>`;
}

function Trouble({ text }) {
  const line = useRef(null);
  useLayoutEffect(() => {
    if (text) line.current.scrollIntoView({ block: 'nearest' });
  }, [text]);
  return html`<p class="trouble-line" id="trouble" role="status" ref=${line}>${text}</p>`;
}

// What this machine holds while another machine's answer counts: the candidate decides.
function Aside({ exam, item, readonly }) {
  const journal = exam.followed.of(item.id);
  const json = journal.aside(item.id);
  if (json === undefined) return null;
  const settle = async (takeUp) => {
    await journal.settle(item.id, takeUp);
    exam.rebuild();
    exam.focusHeading();
  };
  return html`<section class="aside"><p>${t('aside.title')}</p><p class="aside-value">${shown(item, JSON.parse(json)) || t('aside.blank')}</p>
    ${!readonly && html`<div class="actions">
      <button type="button" onclick=${() => settle(true)}>${t('aside.take')}</button>
      <button type="button" onclick=${() => settle(false)}>${t('aside.drop')}</button></div>`}
  </section>`;
}

/** How far the answer of `item` has come; it stands where it is always seen. */
export function Standing({ exam, item }) {
  const journal = exam.followed.of(item.id);
  const now = journal.state(item.id);
  const reached = STAGES.indexOf(now);
  const local = exam.stopped() ? 'state.local_stopped_says' : linkUp.value ? 'state.local_says' : 'state.local_offline_says';
  const says = now === 'none' ? 'state.none' : now === 'local' ? local : `state.${now}_says`;
  return html`<div class="standing"><div class="state" data-state=${now}>
    <ol class="stages" aria-hidden="true" hidden=${reached === -1}>
      ${STAGES.map((stage, index) => html`<li class=${index <= reached ? 'reached' : ''}>${t(`state.${stage}`)}</li>`)}</ol>
    <p class="state-says" title=${journal.refusal(item.id)}>${t(says)}</p>
  </div></div>`;
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
