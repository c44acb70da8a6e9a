// Where the batch does not allow copying, nothing leaves the paper by copy, cut, menu, drag, print or save, and nothing
// comes into an answer but what was written on this page. Within one's own answers everything stays as anyone knows it.
// It keeps honest people honest: a camera sees the screen (hence the watermark), and a kiosk decides about other programs.

import { html, signal } from './html.js';
import { t } from './words.js';

const WRITTEN = 'input[type=text], textarea';
const SHOWN_MS = 5_000;

const said = signal(null);
let timer = 0;

/** Listens until `left` aborts. */
export function guardPaper(left) {
  const { dataset } = document.documentElement;
  let own = null; // what was copied out of an answer last
  let dragging = false; // out of an answer

  const refuse = (event, name = 'copy.off') => {
    event.preventDefault();
    say(name);
  };
  const written = ({ target }) => target.closest?.(WRITTEN) ?? target.parentElement?.closest(WRITTEN);

  function copied(event) {
    const field = written(event);
    if (field) own = field.value.slice(field.selectionStart, field.selectionEnd);
    else refuse(event);
  }

  function pasted(event) {
    if (written(event) && plain(event.clipboardData.getData('text')) !== plain(own)) refuse(event, 'copy.foreign');
  }

  const listeners = {
    copy: copied,
    cut: copied,
    paste: pasted,
    contextmenu: (event) => written(event) || refuse(event),
    dragstart: (event) => (dragging = Boolean(written(event))) || refuse(event),
    drop: (event) => dragging || refuse(event, 'copy.foreign'),
    keydown: (event) => (event.ctrlKey || event.metaKey) && /^[ps]$/i.test(event.key) && refuse(event),
  };
  for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener, { signal: left });
  addEventListener('beforeprint', () => say('copy.off'), { signal: left });
  dataset.paper = 'guarded'; // nothing of it is printed
  left.addEventListener('abort', () => {
    delete dataset.paper;
    said.value = null;
  });
}

// Clipboards of some systems keep other line ends.
const plain = (text) => text?.replaceAll('\r\n', '\n');

function say(name) {
  said.value = name;
  clearTimeout(timer);
  timer = setTimeout(() => (said.value = null), SHOWN_MS);
}

/** Why nothing happened; passes by itself. */
export function CopyHint() {
  return html`<p class="passing" role="status">${said.value && t(said.value)}</p>`;
}
