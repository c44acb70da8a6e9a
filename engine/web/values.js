// From what a candidate typed to the JSON that is sent, and back. Pure.

export const TEXT_CHARACTERS_MAX = 20_000;
export const BLANK_CHARACTERS_MAX = 1_000;
const DIGITS_MAX = 15;

/** The JSON text for `typed`, `{json}`, or why it cannot be one, `{fault}` (a key of the words). */
export function encode(item, typed) {
  switch (item.type) {
    case 'multiple': {
      const chosen = item.options.map((option) => option.id).filter((id) => typed.includes(id));
      return { json: chosen.length ? JSON.stringify(chosen) : 'null' };
    }
    case 'fill': {
      const blanks = typed.map(clean);
      return { json: blanks.some((blank) => blank.trim()) ? JSON.stringify(blanks) : 'null' };
    }
    case 'numeric':
      return encodeNumber(typed);
    case 'text': {
      const text = clean(typed);
      if ([...text].length > TEXT_CHARACTERS_MAX) return { fault: 'fault.text_long' };
      return { json: text ? JSON.stringify(text) : 'null' };
    }
    default:
      return { json: JSON.stringify(typed ?? null) };
  }
}

/** A plain decimal as typed, digit for digit: only what JSON's grammar forbids is put right (`.5`, `5.`, `+5`, `007`). */
export function encodeNumber(typed) {
  const text = foldNumber(typed);
  if (text === '') return { json: 'null' };
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text);
  if (!match || !(match[2] || match[3])) return { fault: 'fault.number' };
  const [, sign, whole, fraction] = match;
  if ((whole + (fraction ?? '')).replace(/^0+/, '').length > DIGITS_MAX) return { fault: 'fault.digits' };
  const integer = whole.replace(/^0+(?=\d)/, '') || '0';
  return { json: (sign === '-' ? '-' : '') + integer + (fraction ? `.${fraction}` : '') };
}

/** Full-width forms become half-width, a Chinese full stop a point, white space goes. */
export function foldNumber(typed) {
  return typed
    .replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .replace(/[\u3002\uff61]/g, '.')
    .replace(/[\u2212\u2013\u2014]/g, '-')
    .replace(/[\s\u200b\ufeff]/g, '');
}

/** A number the engine gave back, written out without an exponent. */
export function plainDecimal(number) {
  const text = String(number);
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (!match) return text;
  const [, sign, first, rest = '', exponent] = match;
  const shift = Number(exponent);
  if (shift < 0) return `${sign}0.${'0'.repeat(-shift - 1)}${first}${rest}`;
  return sign + first + rest.padEnd(shift, '0').slice(0, shift) + (rest.length > shift ? `.${rest.slice(shift)}` : '');
}

/** Whether a value counts as an answer to the one who looks at the list of items. */
export function isAnswer(value) {
  if (value === null || value === undefined) return false;
  if (typeof value === 'string') return value.trim() !== '';
  if (Array.isArray(value)) return value.some((part) => part.trim() !== '');
  return true;
}

// The engine refuses NUL and halves of a character; neither can be typed, both can be pasted.
function clean(text) {
  return text.replaceAll('\0', '').replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '');
}
