/** The guide on errors, written from the closed unions of the contract. */
/** Loaded late: the edge's routes extend the schemas of the contract before any is made. */
export async function errorsGuide(): Promise<string> {
  const { JOB_FAILURE_TITLES, PROBLEMS } = await import('../../shared/contracts/problem.ts');
  const problems = Object.entries(PROBLEMS).map(([code, [status, title]]) => `| \`${code}\` | ${status} | ${title} |`);
  const failures = Object.entries(JOB_FAILURE_TITLES).map(([code, title]) => `| \`${code}\` | ${title} |`);
  return [
    '# Errors',
    '',
    'Every error is a problem document (RFC 9457): `code` is stable, `detail` says what was wrong and what would be right, `errors` points at each',
    'fault in what was sent, `request_id` finds it in the logs. The address in `type` answers the same words.',
    '',
    '```sh',
    'curl -s "$URL/v1/vectors/vec_unknown" -H "authorization: Bearer $KEY" | grep -o \'"code":"not_found"\'',
    '```',
    '',
    '| code | status | what it says |',
    '| --- | --- | --- |',
    ...problems,
    '',
    '## Jobs that failed',
    '',
    'A job fails with one of the codes above, or with one of these:',
    '',
    '| code | what it says |',
    '| --- | --- |',
    ...failures,
    '',
  ].join('\n');
}
