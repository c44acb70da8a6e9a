// Admission code and ID number, typed as they are printed; folding is the engine's.

import { call, Unreachable } from './api.js';
import { fill, h } from './dom.js';
import { alertLine, frame } from './frame.js';
import { explain, t } from './words.js';
import { tokenOfOtherTab } from './writer.js';

/** `notice` is a text's name to show first, such as why one has to log in again. */
export function loginScreen(app, notice) {
  const typed = { code: '', id_number: '' };
  let fault = notice ? () => t(notice) : null;
  let other_token = null;
  let busy = false;

  tokenOfOtherTab().then((token) => {
    other_token = token;
    if (token && !busy) app.redraw();
  });

  async function enter(event, messages, button) {
    event.preventDefault();
    if (busy) return;
    if (!typed.code.trim() || !typed.id_number.trim()) return tell(messages, () => t('login.missing'));
    busy = true;
    button.textContent = t('login.busy');
    try {
      const { token, ...view } = await call('POST', '/v1/login', { json: { admission_code: typed.code, id_number: typed.id_number } });
      await app.entered(token, view);
    } catch (problem) {
      tell(messages, () => (problem instanceof Unreachable ? t('problem.unreachable') : explain(problem)));
    } finally {
      busy = false;
      button.textContent = t('login.enter');
    }
  }

  function tell(messages, text) {
    fault = text;
    fill(messages, alertLine(text()));
  }

  function field(name, label, hint, attributes) {
    const input = h('input', { id: name, value: typed[name], 'aria-describedby': `${name}-hint`, autocomplete: 'off', spellcheck: 'false',
      ...attributes, oninput: () => (typed[name] = input.value) });
    return h('div', { class: 'field' }, h('label', { for: name }, label), input, h('p', { class: 'hint', id: `${name}-hint` }, hint));
  }

  function render() {
    const messages = h('div', {}, fault && alertLine(fault()));
    const button = h('button', { class: 'main', type: 'submit' }, t('login.enter'));
    const look = () => app.resume(other_token);
    return frame(app, { step: 'login', title: t('login.title') },
      other_token && h('div', { class: 'notice' }, h('p', {}, t('login.other_tab')),
        h('button', { type: 'button', id: 'look', onclick: look }, t('login.look'))),
      h('form', { novalidate: true, onsubmit: (event) => enter(event, messages, button) },
        field('code', t('login.code'), t('login.code_hint'), { autocapitalize: 'characters', maxlength: 64 }),
        field('id_number', t('login.id'), t('login.id_hint'), { autocapitalize: 'characters', maxlength: 64 }),
        messages,
        h('div', { class: 'actions' }, button)));
  }

  return { render, focus: '#code' };
}
