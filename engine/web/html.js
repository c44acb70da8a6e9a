// The one door to the vendored modules: what the screens are made of. `html` is JSX without a compiler; whatever came from
// outside can only ever become text.

import htm from './vendor/htm.js';
import { h } from './vendor/preact.js';

export const html = htm.bind(h);
export { Fragment, render } from './vendor/preact.js';
export { useEffect, useLayoutEffect, useRef } from './vendor/hooks.js';
export { batch, computed, effect, signal, untracked, useComputed, useSignal } from './vendor/signals.js';
