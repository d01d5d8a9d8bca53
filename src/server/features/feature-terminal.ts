import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { deferred } from '../../base/deferred.ts';
import type { Log } from '../../base/log.ts';
import { software } from '../../base/version.ts';
import { MemberDirectory } from '../../member/directory.ts';
import { type RunningMember, startMember } from '../../member/running-member.ts';
import type { PlainSide } from '../../switch/plain-side.ts';
import type { Switch } from '../../switch/switch.ts';
import { startTerminal, type Terminal } from '../../terminal/index.ts';
import { memoryPair } from '../../transport/memory.ts';
import { alpnProtocol } from '../../wire/spec.ts';
import { ProcessUdp } from './process-udp.ts';

/**
 * A feature of the server is a terminal in its process (architecture: features are terminals): its own key in its own
 * directory, enrolled by the authority like any other, its own grants, and a link over memory. No private way leads
 * into the switch.
 */

/** The features there are. */
export const featureNames = ['publish', 'service', 'api'] as const;

/** One of {@link featureNames}. */
export type FeatureName = (typeof featureNames)[number];

/** True for one of {@link featureNames}. */
export function isFeatureName(name: string): name is FeatureName {
  return featureNames.some(each => each === name);
}

/** Where a feature's key and grants are, in the server's state directory. */
export function featureDirectory(stateDir: string, name: FeatureName): string {
  return join(stateDir, 'features', name);
}

/** What a feature is started with. */
export interface FeatureOptions {
  readonly name: FeatureName;
  /** Where it has enrolled. */
  readonly directory: string;
  readonly hub: Switch;
  /** SHA-256 of the SPKI of the server's TLS key (P6.1). */
  readonly serverPin: Buffer;
  readonly clock: Clock;
  readonly log: Log;
  /** Its redirected ports end in plain sockets of the server's relay (P7.6), not in JavaScript. */
  readonly plainUdp: boolean;
}

/** A started feature. */
export interface Feature {
  readonly terminal: Terminal;
  /** Its key, what it believes, and how it hands documents to the server (P6.2). */
  readonly member: Pick<RunningMember, 'key' | 'trust' | 'pushDocuments'>;
  /** Plain UDP of the server's relay; undefined where there is no UDP at the service port. */
  readonly side: PlainSide | undefined;
}

/**
 * Starts the terminal of a feature.
 * @throws EntremiseError `not-enrolled`, saying how to enrol; `state-unreadable`, `document-invalid`, `key-revoked`
 */
export async function startFeature(options: FeatureOptions): Promise<Feature> {
  const { name, hub, serverPin, clock, log } = options;
  const directory = new MemberDirectory(options.directory);
  const clientName = `process:${name}`;
  const side = options.plainUdp ? hub.udp.plainSide(clientName) : undefined;
  const connect = async () => {
    // Bulk through microtasks would starve the sockets of this process.
    const { client, server } = memoryPair({ serverPin, alpn: alpnProtocol, clientName, defer: setImmediate });
    hub.accept(server);
    return client;
  };
  const member = { directory, role: 'terminal' as const, software, capabilities: [], clock, log, connect };
  const started = deferred<RunningMember>();
  const terminal = await startTerminal(
    async handlers => {
      const running = await startMember({ ...member, handlers });
      started.resolve(running);
      return { ...running, storedGrants: () => directory.grants() };
    },
    { clock, udp: side && new ProcessUdp(side) },
  );
  return { terminal, member: await started.promise, side };
}
