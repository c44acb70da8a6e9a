// Admission code and ID number, typed as they are printed; folding is the engine's.

import { Unreachable } from './api.js';
import { Alert, Frame } from './frame.js';
import { html, signal } from './html.js';
import { logIn } from './pass.js';
import { explain, t } from './words.js';
import { tokenOfOtherTab } from './writer.js';

/** `notice` is a text's name to show first, such as why one has to log in again. */
export function loginScreen(app, notice) {
  const typed = { code: '', id_number: '' };
  const fault = signal(notice ? () => t(notice) : null);
  const other_token = signal(null);
  const busy = signal(false);

  tokenOfOtherTab().then((token) => (other_token.value = token));

  async function enter(event) {
    event.preventDefault();
    if (busy.value) return;
    if (!typed.code.trim() || !typed.id_number.trim()) {
      fault.value = () => t('login.missing');
      document.getElementById(typed.code.trim() ? 'id_number' : 'code').focus();
      return;
    }
    busy.value = true;
    fault.value = null;
    try {
      const { token, view } = await logIn(typed);
      await app.entered(token, view);
    } catch (problem) {
      fault.value = () => (problem instanceof Unreachable ? t('problem.unreachable') : explain(problem));
    } finally {
      busy.value = false;
    }
  }

  const field = (name, label) => html`<div class="field">
    <label for=${name}>${t(label)}</label>
    <input id=${name} defaultValue=${typed[name]} maxlength="64" aria-describedby=${`${name}-hint`} autocomplete="off" spellcheck="false"
      autocapitalize="characters" oninput=${(event) => (typed[name] = event.target.value)} />
    <p class="hint" id=${`${name}-hint`}>${t(`${label}_hint`)}</p>
  </div>`;

  const View = () => html`<${Frame} app=${app} step="login" title=${t('login.title')}>
    ${other_token.value && html`<div class="notice"><p>${t('login.other_tab')}</p>
      <button type="button" id="look" onclick=${() => app.resume(other_token.value)}>${t('login.look')}</button></div>`}
    <form novalidate onsubmit=${enter}>
      ${field('code', 'login.code')}
      ${field('id_number', 'login.id')}
      <${Alert} text=${fault.value} />
      <div class="actions"><button class="main" type="submit">${t(busy.value ? 'login.busy' : 'login.enter')}</button></div>
    </form>
  </${Frame}>`;

  return { View, focus: '#code' };
}
