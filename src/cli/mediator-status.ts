import type { AttachedStatus, ConsentStatus, MediatorStatus } from '../mediator/control/status.ts';
import { endpointText } from './endpoint-text.ts';
import { natWords, ownUdpWords } from './path-words.ts';

/** The mediator's status for people, a line each; whatever comes from elsewhere is made visible by the output. */

function consentWords(status: ConsentStatus, stopped: boolean): string {
  const { allowed, consent, openUntil, hours } = status;
  if (!allowed) return 'not allowed';
  if (hours?.now === false) return `nobody at this hour, but ${hours.allowed.join(', ') || 'never'}`;
  if (openUntil !== undefined) return `window open until ${openUntil}`;
  if (stopped) return 'stopped';
  return consent === 'always' ? 'always allowed' : 'window closed';
}

function attachedLines({ terminal, grant, purpose, since, away, ports, targets }: AttachedStatus): string[] {
  const shownPorts = ports.map(
    ({ protocol, address, number, state, streams }) =>
      `    ${protocol} ${endpointText({ host: address, port: number })} ${state}${streams === 0 ? '' : `, ${streams} connections`}`,
  );
  return [
    `  ${terminal} ${away ? 'away, waited for' : 'here'} since ${since}`,
    `    ${purpose}, grant ${grant}`,
    ...shownPorts,
    ...targets.map(target => `    reached ${target}`),
  ];
}

/** Whether UDP passes and what NATs do to it (P8.3, P8.5). */
function pathLines({ path }: MediatorStatus): string[] {
  if (path === undefined) return [];
  const nat = natWords(path);
  return [`udp            ${ownUdpWords(path)}`, ...(nat === undefined ? [] : [`nat            ${nat}`])];
}

/** See the head of this file. */
export function statusLines(status: MediatorStatus): string[] {
  const {
    name,
    version,
    link,
    configuration,
    missingCapabilities,
    stopped,
    consent,
    attached,
    addonProblem,
  } = status;
  const { path, problem } = configuration;
  const server = link.server === undefined ? '' : ` with ${link.server}`;
  const reason = link.reason === undefined ? '' : `: ${link.reason}`;
  return [
    `${name}, ${version}`,
    `server         ${link.online ? 'online' : 'offline'}${server} since ${link.since}${reason}`,
    ...pathLines(status),
    `configuration  ${problem === undefined ? `${path} is in force` : `what was good before; ${problem}`}`,
    ...(addonProblem === undefined ? [] : [`addon          missing: ${addonProblem}`]),
    ...missingCapabilities.map(capability => `capability     ${capability} is missing`),
    `assistance     ${consentWords(consent.assistance, stopped)}`,
    `service        ${consentWords(consent.service, stopped)}`,
    attached.length === 0 ? 'attached       nobody' : `attached       ${attached.length}`,
    ...attached.flatMap(attachedLines),
  ];
}
