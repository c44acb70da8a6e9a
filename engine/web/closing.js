// The two sheets that lie over the desk when this page may no longer write: it may only look, or the time is up.

import { html } from './html.js';
import { linkUp } from './live.js';
import { t } from './words.js';

/** Why this page only reads, and how to go on here. */
export function ReadonlySheet({ exam, reason }) {
  const left = exam.followed.any().undelivered().length;
  const tab = reason === 'tab';
  const action = tab ? exam.takeHere : () => exam.app.leave('login.again');
  return html`<section class=${tab ? 'notice' : 'notice grave'} id="readonly" role="alert" data-reason=${reason}>
    <h2>${t(`readonly.${reason}_title`)}</h2>
    <p>${t(`readonly.${reason}`)}</p>
    ${reason === 'superseded' && left > 0 && html`<p>${t('readonly.superseded_left', { n: left })}</p>`}
    <div class="actions"><button type="button" class="main" id="take-here" onclick=${action}>${t(tab ? 'readonly.tab_take' : 'readonly.superseded_take')}</button></div>
  </section>`;
}

/** What happens to the last answers between the end and the receipt. */
export function EndedSheet({ exam }) {
  const { held, local } = exam.followed.any().counts();
  const doing = !linkUp.value ? 'ended.offline' : held + local ? 'ended.sending' : 'ended.collecting';
  return html`<section class="notice" id="ended"><h2>${t('ended.title')}</h2><p role="status">${t(doing)}</p></section>`;
}
