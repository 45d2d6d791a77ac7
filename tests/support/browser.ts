/** The browser of this machine, driven; tests that need one are skipped, visibly, where there is none. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';

/** Where a program of one of these names lies. */
export const programs = (...names: string[]): string[] =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .filter((path) => existsSync(path));

export const chromiumPath: string | undefined = [
  process.env.CHROMIUM ?? '',
  ...programs('chromium', 'chromium-browser', 'google-chrome'),
].find((path) => path !== '' && existsSync(path));

export async function launchBrowser(): Promise<Browser> {
  const { chromium } = await import('playwright-core');
  return chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox', '--disable-gpu'], timeout: 60_000 });
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe-core finds on the page as it stands: rules with the elements that break them. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  const { readFileSync } = await import('node:fs');
  // through the debugger, since the page's own policy lets no other script in
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: readFileSync(axePath, 'utf8') });
  const { result } = await session.send('Runtime.evaluate', {
    expression:
      'axe.run().then(({ violations }) => JSON.stringify(violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => [id, target, failureSummary].join(" ")))))',
    awaitPromise: true,
  });
  await session.detach();
  return JSON.parse(String(result.value)) as string[];
}
