import { describe, expect, it } from 'vitest';
import { newTraceparent, nextSpan, readTraceparent, traceIdOf } from '../../../shared/signing/traceparent.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const GOOD = `00-${TRACE}-00f067aa0ba902b7-01`;

describe('a traceparent', () => {
  it.each([
    ['as the standard prints it', GOOD, GOOD],
    ['with blanks around', ` ${GOOD} `, GOOD],
    ['of a later version, with more behind', `cc-${TRACE}-00f067aa0ba902b7-01-what-comes`, GOOD],
    ['that is not there', null, null],
    ['of version 00 with more behind', `${GOOD}-more`, null],
    ['of the version that is never', `ff-${TRACE}-00f067aa0ba902b7-01`, null],
    ['with a trace id of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, null],
    ['with a parent id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`, null],
    ['in capitals', GOOD.toUpperCase(), null],
    ['cut short', GOOD.slice(0, -1), null],
  ])('%s', (_, header, read) => {
    expect(readTraceparent(header)).toBe(read);
  });

  it('goes on in parts of one trace', () => {
    const parts = [GOOD, nextSpan(GOOD), nextSpan(nextSpan(GOOD))];
    expect(parts.map(traceIdOf)).toEqual([TRACE, TRACE, TRACE]);
    expect(new Set(parts).size).toBe(3);
    expect(parts.map(readTraceparent)).toEqual(parts);
    const own = newTraceparent();
    expect(readTraceparent(own)).toBe(own);
    expect(newTraceparent()).not.toBe(own);
  });
});
