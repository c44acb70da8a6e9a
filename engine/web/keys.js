// The keyboard in the exam: numbers choose, arrows move, Enter goes on. Numbers can be switched off, and act only while
// the focus is in the question, so that nothing typed elsewhere answers anything.

import { ask } from './dialog.js';
import { html } from './html.js';
import { t } from './words.js';

const KEPT = 'liankao.number_keys';
const HELP = ['number', 'updown', 'leftright', 'enter', 'tab'];
const WRITTEN = 'input[type=text], textarea';

const numbersOn = () => localStorage.getItem(KEPT) !== 'off';

/** Listens until `signal` aborts; `step(by)` goes to another item. */
export function listenToKeys({ step }, signal) {
  function pressed(event) {
    const { key, target } = event;
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey || document.querySelector('dialog[open]')) return;
    const question = target.closest?.('.question');
    if (!question && target !== document.body && !target.closest?.('.desk')) return;
    const done = target.matches(WRITTEN) ? inField(key, target) : onQuestion(key, target);
    if (done) event.preventDefault();
  }

  function inField(key, field) {
    if (key !== 'Enter' || field.matches('textarea')) return false;
    const fields = [...document.querySelectorAll(`.question ${WRITTEN}`)];
    const next = fields[fields.indexOf(field) + 1];
    if (next) next.focus();
    else step(1);
    return true;
  }

  function onQuestion(key, target) {
    const options = [...document.querySelectorAll('.question .option input')];
    if (key === 'ArrowRight' || key === 'ArrowLeft') return step(key === 'ArrowRight' ? 1 : -1);
    if (key === 'Enter') return target.matches('button, summary') ? false : step(1);
    if (key === 'ArrowDown' || key === 'ArrowUp') return among(options, target, key === 'ArrowDown' ? 1 : -1);
    const option = numbersOn() && /^[1-9]$/.test(key) && options[Number(key) - 1];
    if (!option || option.disabled) return false;
    option.focus();
    option.click();
    return true;
  }

  document.addEventListener('keydown', pressed, { signal });
}

// A radio's own arrows choose as they move, material scrolls; check boxes have none, and from the heading the first key leads in.
function among(options, target, by) {
  const at = options.indexOf(target);
  if (!options.length || target.matches('[type=radio]') || target.closest('.material')) return false;
  options[at === -1 ? (by > 0 ? 0 : options.length - 1) : (at + by + options.length) % options.length].focus();
  return true;
}

/** What the keys do, and the switch of the number keys. */
export function showKeys() {
  const change = ({ target }) => localStorage.setItem(KEPT, target.checked ? 'on' : 'off');
  const content = html`<dl class="keys">${HELP.map((name) => html`<div><dt>${t(`keys.${name}`)}</dt><dd>${t(`keys.${name}_does`)}</dd></div>`)}</dl>
    <label class="tick"><input type="checkbox" defaultChecked=${numbersOn()} onchange=${change} />${t('keys.numbers_on')}</label>`;
  return ask(t('keys.title'), content, [{ name: 'ok', text: t('exam.close'), kind: 'main' }]);
}
