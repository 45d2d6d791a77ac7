/** Conditions that a request sets on what it reads or changes (RFC 9110, 13), the same for every resource. */
import { SextantError } from '../../shared/contracts/problem.ts';

type Tags = '*' | readonly { weak: boolean; opaque: string }[];

/** An entity tag, with what separates it from the next one. */
const TAG = /[\t ]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[\t ]*(?:,|$)/y;

/** The tags of an If-Match or If-None-Match header. @throws SextantError `parameter_invalid` */
function tagsOf(header: string, name: string): Tags {
  if (header.trim() === '*') {
    return '*';
  }
  const tags: { weak: boolean; opaque: string }[] = [];
  for (TAG.lastIndex = 0; TAG.lastIndex < header.length; ) {
    const match = TAG.exec(header);
    if (!match) {
      throw new SextantError(
        'parameter_invalid',
        `${name} holds * or tags in double quotes, separated by commas, as ETag gave them`,
      );
    }
    tags.push({ weak: match[1] !== undefined, opaque: match[2]! });
  }
  if (tags.length === 0) {
    throw new SextantError('parameter_invalid', `${name} is empty; leave it out or name a tag`);
  }
  return tags;
}

/**
 * Whether a header names the resource at `etag` (null: there is none). Tags are compared as text and weakly: a proxy that
 * compresses an answer weakens its tag, and none of our resources has two contents under one tag.
 */
const names = (header: string, name: string, etag: string | null): boolean => {
  const tags = tagsOf(header, name);
  if (etag === null) {
    return false;
  }
  return tags === '*' || tags.some(({ opaque }) => `"${opaque}"` === etag);
};

/** Whether `If-Match` admits a change of the resource at `etag`. @throws SextantError `parameter_invalid` */
export const ifMatchHolds = (header: string, etag: string | null): boolean => names(header, 'If-Match', etag);

/** Whether `If-None-Match` says that the caller has what stands at `etag`. @throws SextantError `parameter_invalid` */
export const ifNoneMatchNames = (header: string, etag: string | null): boolean => names(header, 'If-None-Match', etag);

/**
 * What a reader's conditions make of a resource at `etag`: `unchanged` is answered 304, `changed` with the resource.
 * @throws SextantError `precondition_failed`, `parameter_invalid`
 */
export function conditionalRead(headers: Headers, etag: string): 'changed' | 'unchanged' {
  const ifMatch = headers.get('if-match');
  if (ifMatch !== null && !ifMatchHolds(ifMatch, etag)) {
    throw new SextantError('precondition_failed', `If-Match does not name the tag that stands, ${etag}`);
  }
  const ifNoneMatch = headers.get('if-none-match');
  return ifNoneMatch !== null && ifNoneMatchNames(ifNoneMatch, etag) ? 'unchanged' : 'changed';
}
