// The two sheets that lie over the desk when this page may no longer write: it may only look, or the time is up.

import { link } from './api.js';
import { h, setText } from './dom.js';
import { t } from './words.js';

/** Why this page only reads, and how to go on here. */
export function readonlySheet(app, { reason, left, takeHere }) {
  const again = () => app.leave('login.again');
  const [button, action] = reason === 'tab' ? ['readonly.tab_take', takeHere] : ['readonly.superseded_take', again];
  return h('section', { class: reason === 'tab' ? 'notice' : 'notice grave', id: 'readonly', role: 'alert', 'data-reason': reason },
    h('h2', {}, t(`readonly.${reason}_title`)),
    h('p', {}, t(`readonly.${reason}`)),
    reason === 'superseded' && left > 0 && h('p', {}, t('readonly.superseded_left', { n: left })),
    h('div', { class: 'actions' }, h('button', { type: 'button', class: 'main', id: 'take-here', onclick: action }, t(button))));
}

/** What happens to the last answers between the end and the receipt. */
export function endedSheet(items, journal) {
  const line = h('p', { role: 'status' });
  const tell = () => {
    if (!sheet.isConnected && line.textContent) return stop();
    const { held, local } = journal.counts();
    const undelivered = held + local;
    const doing = !link.up ? 'ended.offline' : undelivered ? 'ended.sending' : 'ended.collecting';
    return setText(line, t(doing));
  };
  const stop = () => {
    journal.removeEventListener('change', tell);
    link.removeEventListener('change', tell);
  };
  const sheet = h('section', { class: 'notice', id: 'ended' }, h('h2', {}, t('ended.title')), line);
  journal.addEventListener('change', tell);
  link.addEventListener('change', tell);
  tell();
  return sheet;
}
