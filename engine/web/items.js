// The inputs of the six item types. Each builds its fields from the journal's value and reports what was typed; a field
// is never rebuilt while someone types in it.

import { h, setText } from './dom.js';
import { stemNodes } from './stem.js';
import { BLANK_CHARACTERS_MAX, foldNumber, plainDecimal, TEXT_CHARACTERS_MAX } from './values.js';
import { t } from './words.js';

const TYPING_MS = 400; // a pause in typing; the change then goes out at once
const TYPING_MS_MAX = 1_000; // and no longer than this while typing goes on

/**
 * The answer area of `item`: {element, flush()}. `report(typed)` is called at once for choices and in pauses for text,
 * `hold()` whenever there is something to report; `flush` reports what is still held back.
 */
export function inputsOf(item, given) {
  const field = { single: choice, true_false: choice, multiple: choices, fill: blanks, numeric, text }[item.type];
  return field(item, given);
}

function choice(item, { value, figures, readonly, report }) {
  const options = item.type === 'true_false' ? [{ id: true, text: t('true') }, { id: false, text: t('false') }] : item.shown;
  const rows = options.map((option, index) => optionRow(item, option, index, figures, {
    type: 'radio', name: 'answer', checked: option.id === value, disabled: readonly, onchange: () => report(option.id) }));
  return { element: fieldset(item, rows), flush() {} };
}

function choices(item, { value, figures, readonly, report }) {
  const chosen = new Set(value ?? []);
  const toggle = (id) => (event) => {
    if (event.target.checked) chosen.add(id);
    else chosen.delete(id);
    report([...chosen]);
  };
  const rows = item.shown.map((option, index) => optionRow(item, option, index, figures, {
    type: 'checkbox', checked: chosen.has(option.id), disabled: readonly, onchange: toggle(option.id) }));
  return { element: fieldset(item, rows), flush() {} };
}

function optionRow(item, option, index, figures, attributes) {
  const letter = item.type === 'true_false' ? null : h('span', { class: 'letter' }, String.fromCharCode(65 + index));
  return h('label', { class: 'option' }, h('input', { ...attributes, 'data-option': String(option.id) }), letter,
    h('span', { class: 'option-text' }, stemNodes(option.text, figures, true)));
}

function fieldset(item, rows) {
  return h('fieldset', { class: 'options' }, h('legend', { class: 'spoken' }, t(`type.${item.type}`)), rows);
}

function blanks(item, { value, readonly, report, hold }) {
  const count = item.blanks ?? 1;
  const inputs = [];
  const held = holdBack(() => report(inputs.map((input) => input.value)), hold);
  const rows = Array.from({ length: count }, (_, index) => {
    const id = `blank-${index + 1}`;
    const input = h('input', { id, type: 'text', value: value?.[index] ?? '', maxlength: BLANK_CHARACTERS_MAX, autocomplete: 'off',
      spellcheck: 'false', readOnly: readonly, ...held.listeners });
    inputs.push(input);
    return h('div', { class: 'blank' }, h('label', { for: id }, count > 1 ? t('blank.label', { n: index + 1 }) : t('blank.only')), input);
  });
  return { element: h('div', { class: 'blanks' }, rows), flush: held.flush };
}

function numeric(item, { value, draft, readonly, report, hold }) {
  // What was typed counts as the value's own spelling as long as it says the same number.
  const spelt = draft !== undefined ? draft : value === null ? '' : plainDecimal(value);
  const held = holdBack(() => report(input.value), hold);
  const input = h('input', { id: 'number', type: 'text', inputmode: 'decimal', value: spelt, maxlength: 64, autocomplete: 'off', readOnly: readonly,
    'aria-describedby': 'trouble', ...held.listeners });
  return { element: h('div', { class: 'blank one-number' }, h('label', { for: 'number' }, t('numeric.label')), input), flush: held.flush };
}

function text(item, { value, draft, readonly, report, hold }) {
  const held = holdBack(() => report(area.value), () => (tell(), hold()));
  const area = h('textarea', { id: 'essay', rows: 8, value: draft ?? value ?? '', readOnly: readonly, spellcheck: 'false',
    'aria-describedby': 'essay-count trouble', ...held.listeners });
  const counter = h('p', { class: 'hint', id: 'essay-count' });
  const tell = () => setText(counter, t('text.count', { count: [...area.value].length, limit: TEXT_CHARACTERS_MAX }));
  tell();
  return { element: h('div', { class: 'essay' }, h('label', { for: 'essay' }, t('text.label')), area, counter), flush: held.flush };
}

// Reports in pauses of typing, never in the middle of an input method's composition.
function holdBack(report, onInput) {
  let pause_timer = 0;
  let latest_timer = 0;
  let held = false;

  function flush() {
    clearTimeout(pause_timer);
    clearTimeout(latest_timer);
    pause_timer = latest_timer = 0;
    if (!held) return;
    held = false;
    report();
  }

  function typed(event) {
    onInput();
    held = true;
    if (event.isComposing) return;
    clearTimeout(pause_timer);
    pause_timer = setTimeout(flush, TYPING_MS);
    latest_timer ||= setTimeout(flush, TYPING_MS_MAX);
  }

  return { flush, listeners: { oninput: typed, oncompositionend: typed, onblur: flush } };
}

/** Whether what stands in a number's field still spells `value`. */
export function spells(draft, value) {
  const folded = foldNumber(draft);
  return folded === '' ? value === null : value !== null && Number(folded) === value;
}
