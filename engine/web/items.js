// The inputs of the six item types. Choices show what the journal holds; a field that is typed in is never written over
// while someone types, only built anew (by its key).

import { html, useLayoutEffect, useRef, useSignal } from './html.js';
import { Enlargers, Stem } from './stem.js';
import { BLANK_CHARACTERS_MAX, foldNumber, plainDecimal, TEXT_CHARACTERS_MAX } from './values.js';
import { t } from './words.js';

const TYPING_MS = 400; // a pause in typing; the change then goes out at once
const TYPING_MS_MAX = 1_000; // and no longer than this while typing goes on

/**
 * The answer area of `item`. `report(typed)` is called at once for choices and in pauses for text, `hold()` whenever there
 * is something to report; `typing.current` is the function that reports what is still held back.
 */
export function Inputs(props) {
  const Field = { single: Choice, true_false: Choice, multiple: Choices, fill: Blanks, numeric: Numeric, text: Text }[props.item.type];
  return html`<${Field} ...${props} />`;
}

/** What can be chosen, in the order shown. */
function optionsOf(item) {
  return item.type === 'true_false' ? [{ id: true, text: t('true') }, { id: false, text: t('false') }] : item.shown;
}

function Choice({ item, value, figures, readonly, report }) {
  return html`<${Options} item=${item} figures=${figures} input=${(option) => ({
    type: 'radio', name: 'answer', checked: option.id === value, disabled: readonly, onchange: () => report(option.id) })} />`;
}

function Choices({ item, value, figures, readonly, report }) {
  const chosen = value ?? [];
  const toggle = (id) => ({ target }) => report(target.checked ? [...chosen, id] : chosen.filter((other) => other !== id));
  return html`<${Options} item=${item} figures=${figures} input=${(option) => ({
    type: 'checkbox', checked: chosen.includes(option.id), disabled: readonly, onchange: toggle(option.id) })} />`;
}

function Options({ item, figures, input }) {
  const row = (option, index) => {
    const letter = String.fromCharCode(65 + index);
    return html`<label class="option" key=${String(option.id)}>
      <input ...${input(option)} data-option=${String(option.id)} />
      ${item.type !== 'true_false' && html`<span class="letter">${letter}</span>`}
      <span class="option-text"><${Stem} text=${option.text} figures=${figures} small /></span>
    </label><${Enlargers} text=${option.text} figures=${figures} letter=${letter} />`;
  };
  return html`<fieldset class="options" aria-describedby="stem trouble">
    <legend class="spoken">${t(`type.${item.type}`)}</legend>${optionsOf(item).map(row)}
  </fieldset>`;
}

function Blanks({ item, value, readonly, report, hold, typing }) {
  const count = item.blanks ?? 1;
  const inputs = useRef([]);
  const held = useHeldBack(() => report(inputs.current.map((input) => input.value)), hold, typing);
  const row = (_, index) => {
    const id = `blank-${index + 1}`;
    return html`<div class="blank"><label for=${id}>${count > 1 ? t('blank.label', { n: index + 1 }) : t('blank.only')}</label>
      <input id=${id} type="text" ref=${(element) => element && (inputs.current[index] = element)} defaultValue=${value?.[index] ?? ''}
        maxlength=${BLANK_CHARACTERS_MAX} autocomplete="off" spellcheck="false" readOnly=${readonly} aria-describedby="stem" ...${held} /></div>`;
  };
  return html`<div class="blanks">${Array.from({ length: count }, row)}</div>`;
}

function Numeric({ value, draft, readonly, report, hold, typing }) {
  // What was typed counts as the value's own spelling as long as it says the same number.
  const spelt = useRef(draft !== undefined ? draft : value === null ? '' : plainDecimal(value)).current;
  const input = useRef(null);
  const held = useHeldBack(() => report(input.current.value), hold, typing);
  return html`<div class="blank one-number"><label for="number">${t('numeric.label')}</label>
    <input id="number" type="text" inputmode="decimal" ref=${input} defaultValue=${spelt} maxlength="64" autocomplete="off" readOnly=${readonly}
      aria-describedby="stem trouble" ...${held} /></div>`;
}

function Text({ value, draft, readonly, report, hold, typing }) {
  const begun = useRef(draft ?? value ?? '').current;
  const area = useRef(null);
  const count = useSignal([...begun].length);
  const counted = () => {
    count.value = [...area.current.value].length;
    hold();
  };
  const held = useHeldBack(() => report(area.current.value), counted, typing);
  return html`<div class="essay"><label for="essay">${t('text.label')}</label>
    <textarea id="essay" rows="8" ref=${area} defaultValue=${begun} readOnly=${readonly} spellcheck="false" aria-describedby="stem essay-count trouble" ...${held} />
    <p class="hint" id="essay-count">${t('text.count', { count: count.value, limit: TEXT_CHARACTERS_MAX })}</p></div>`;
}

/** Listeners that report in pauses of typing, never in the middle of an input method's composition. */
function useHeldBack(report, onInput, typing) {
  const latest = useRef();
  latest.current = { report, onInput };
  const held = useRef();
  held.current ??= holdBack(() => latest.current.report(), () => latest.current.onInput());
  const { flush, listeners } = held.current;
  useLayoutEffect(() => {
    typing.current = flush;
    return () => {
      flush();
      if (typing.current === flush) typing.current = null;
    };
  }, []);
  return listeners;
}

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
