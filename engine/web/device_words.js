// The words of device checks, for whichever page shows them: the candidate's and the room's each have words of their own.

import { en } from './device_words.en.js';
import { zh } from './device_words.zh.js';

/** `t` is the page's own: whoever says something through it is drawn again when the language changes. */
export function speaker(t) {
  return (name, values = {}) => {
    const table = t('switch.language_lang') === 'en' ? zh : en; // what can be switched to is what is not shown
    return (table[name] ?? name).replace(/\{(\w+)\}/g, (whole, placeholder) => values[placeholder] ?? whole);
  };
}

/** Why the engine did not take a check; null where only the page itself knows a text. */
export function refusal(say, problem) {
  const name = `refused.${problem.code}`;
  return name in zh ? say(name) : null;
}
