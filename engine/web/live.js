// What changes by itself, as signals: the line, the server's time, the journal. A component that reads one of them is
// drawn again when it changes, and nothing else is.

import { link } from './api.js';
import * as clock from './clock.js';
import { batch, signal } from './html.js';

/** Whether the engine answers. */
export const linkUp = signal(link.up);
link.addEventListener('change', () => (linkUp.value = link.up));

/** The server's time, read about four times a second. */
export const now = signal(clock.now());
clock.everyTick(() => (now.value = clock.now()));

/** `journal` for components: `any()` and `of(item_id)` give it and draw the reader again when all or that item changed. */
export function follow(journal, items, stopped) {
  const any = signal(0);
  const each = new Map(items.map(({ id }) => [id, signal(0)]));
  const rise = (counter) => (counter.value = counter.peek() + 1);
  const changed = ({ detail }) => batch(() => {
    rise(any);
    if (detail === null) each.forEach(rise);
    else if (each.has(detail)) rise(each.get(detail));
  });
  journal.addEventListener('change', changed, { signal: stopped });
  return {
    any: () => (any.value, journal),
    of: (item_id) => (each.get(item_id).value, journal),
  };
}

/** Says `text` to a screen reader without moving the focus, and never the same twice in a row. */
export function speak(text) {
  const spoken = document.getElementById('spoken');
  if (spoken.textContent !== text) spoken.textContent = text;
}
