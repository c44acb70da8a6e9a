// Dialogs over the page. The browser keeps the focus inside and gives it back afterwards.

import { html, render } from './html.js';
import { t } from './words.js';

/** Shows `content` until it is closed; {closed, close(name)}: `closed` resolves to the chosen name, or null. */
export function openDialog(content, attributes = {}) {
  const dialog = document.createElement('dialog');
  for (const [name, value] of Object.entries(attributes)) dialog.setAttribute(name, value);
  render(content, dialog);
  const closed = new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      render(null, dialog);
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
  });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, closed, close: (name = '') => dialog.close(name) };
}

/** A question over the page; resolves to the chosen name, or null when it was closed. `wide` gives `content` room. */
export function ask(title, content, choices, { wide = false } = {}) {
  const button = ({ name, text, kind }) => html`<button type="button" class=${kind} onclick=${() => close(name)}>${text}</button>`;
  const shown = html`<h2 id="dialog-title">${title}</h2>${typeof content === 'function' ? content((name) => close(name)) : content}
    <div class="actions">${choices.map(button)}</div>`;
  const { dialog, closed, close } = openDialog(shown, { 'aria-labelledby': 'dialog-title', class: wide ? 'wide' : '' });
  dialog.querySelector('.actions button').focus();
  return closed;
}

/** Something to read, and one button. */
export function tell(title, content) {
  return ask(title, content, [{ name: 'ok', text: t('dialog.close'), kind: 'main' }]);
}
