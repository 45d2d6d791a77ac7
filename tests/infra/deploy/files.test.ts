/** What the deployment files promise, where the tools that run them are not at hand. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const FOLDER = join(import.meta.dirname, '../../../infra/deploy');
const read = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');
/** Lines that say something. */
const spoken = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n');

describe('the image', () => {
  const file = spoken(read('Dockerfile'));
  it('has a base that is given by whoever builds it, in every stage', () => {
    expect(file).toMatch(/^ARG BASE$/m);
    expect(file.match(/^FROM .*/gm)).toHaveLength(2);
    expect(file.match(/^FROM \$\{BASE\}( AS packages)?$/gm)).toHaveLength(2);
    // never an invented digest
    expect(file).not.toMatch(/sha256:[0-9a-f]/);
  });
  it('runs as nobody, from files that it cannot change, writing to its volume alone', () => {
    const last = file.slice(file.lastIndexOf('FROM '));
    expect(last).toMatch(/^USER 10001:10001$/m);
    expect(last).toContain('chmod -R a-w /app');
    expect([...last.matchAll(/^VOLUME (\S+)$/gm)].map(([, path]) => path)).toEqual(['/scratch']);
    expect(last).toMatch(/^HEALTHCHECK /m);
    // what builds stays in the stage before, and a base that brings a compiler is refused
    expect(last).not.toMatch(/npm ci|apt-get/);
    expect(last).toMatch(/for tool in cc gcc .*exit 1/);
  });
  it('copies what a worker needs and nothing of the edge', () => {
    const copied = [...file.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].map(([, what]) => what);
    expect(copied).toEqual(['package.json package-lock.json .npmrc', 'shared', 'gpu-worker']);
  });
});

it('the compose file runs it read-only, without capabilities, and gives it time to end', () => {
  const file = spoken(read('compose.yaml'));
  for (const line of ['read_only: true', 'cap_drop: [ALL]', 'no-new-privileges:true', 'stop_grace_period: 120s']) {
    expect(file).toContain(line);
  }
  expect(file).toMatch(/BASE: \$\{BASE:\?/);
});

describe('on Kubernetes', () => {
  const documents = ['namespace', 'worker', 'scaling', 'long-runs'].flatMap((name) =>
    spoken(read(`kubernetes/${name}.yaml`)).split(/^---$/m),
  );
  const of = (kind: string): string => documents.find((text) => new RegExp(`^kind: ${kind}$`, 'm').test(text)) ?? '';

  it('every document names its kind and its namespace', () => {
    for (const text of documents) {
      expect(text).toMatch(/^apiVersion: \S+$/m);
      expect(text).toMatch(/^ {2}(name: sextant|namespace: sextant)$/m);
      expect(text).not.toContain('\t');
    }
  });
  it('the pod keeps to the restricted standard', () => {
    const pod = of('Deployment');
    for (const line of [
      'runAsNonRoot: true',
      'seccompProfile: { type: RuntimeDefault }',
      'allowPrivilegeEscalation: false',
      'readOnlyRootFilesystem: true',
      'capabilities: { drop: [ALL] }',
      'automountServiceAccountToken: false',
    ]) {
      expect(pod).toContain(line);
    }
    expect(of('Namespace')).toContain('pod-security.kubernetes.io/enforce: restricted');
    expect(Number(/terminationGracePeriodSeconds: (\d+)/.exec(pod)?.[1])).toBeGreaterThanOrEqual(60);
    expect(pod).not.toMatch(/^ {2}replicas:/m);
  });
  it('the pod of long runs is the same, ends when nothing waits, and is not picked while it is busy', () => {
    const runs = of('ScaledJob');
    expect(runs).toContain('args: [--until-empty]');
    expect(runs).toContain('restartPolicy: Never');
    expect(runs).toContain('cluster-autoscaler.kubernetes.io/safe-to-evict: "false"');
    expect(runs).toMatch(/url: https:\/\/\S+\/v1\/pools\/long$/m);
    // waiting and running are counted together, of which KEDA's default strategy takes off the jobs that run
    expect(runs).toContain('scalingStrategy: { strategy: default }');
    const lines = (text: string) =>
      text
        .slice(text.indexOf('automountServiceAccountToken'), text.indexOf('secretName'))
        .split('\n')
        .map((line) => line.trim());
    const apart = /^(args:.*|restartPolicy:.*|strategy:.*)$/;
    expect(lines(runs).filter((line) => !apart.test(line))).toEqual(lines(of('Deployment')));
    // a budget cannot count pods of jobs
    expect(of('PodDisruptionBudget')).toContain('matchLabels: { app: sextant-worker, pool: default }');
    expect(runs).toContain('labels: { app: sextant-worker, pool: long }');
  });
  it('one pod at a time is disrupted, and workers reach no private network', () => {
    expect(of('PodDisruptionBudget')).toContain('maxUnavailable: 1');
    const policy = of('NetworkPolicy');
    expect(policy).toContain('policyTypes: [Ingress, Egress]');
    expect(policy).toContain('169.254.0.0/16');
  });
  it('scales by what the edge says is waiting and running in the pool', () => {
    const scaled = of('ScaledObject');
    expect(scaled).toMatch(/type: metrics-api/);
    expect(scaled).toMatch(/url: https:\/\/\S+\/v1\/pools\/default/);
    expect(scaled).toMatch(/valueLocation: jobs/);
    const name = /scaleTargetRef: \{ name: (\S+) \}/.exec(scaled)?.[1];
    expect(of('Deployment')).toContain(`name: ${name}`);
  });
});
