import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from 'netns-test-helpers';
import { startWebServer } from '../../demo/device.ts';
import { cliCommand, serverAddress } from '../../site.ts';
import { homeAddresses } from '../../topologies/home.ts';
import type { Stage } from './stage.ts';

/** The name of the mediator of {@link buildSecondHome}. */
export const secondMediator = 'home-2';

/** Another home of the same stage, whose LAN has the same addresses. */
export interface SecondHome {
  readonly gateway: Namespace;
  readonly device: Namespace;
}

const folderOf = ({ folder }: Pick<Stage, 'folder'>) => join(folder, 'second');

/**
 * As {@link buildSecondLan}, with a mediator that has enrolled, runs, and is granted to the stage's terminal.
 */
export async function buildSecondHome(stage: Stage, page: string): Promise<SecondHome> {
  const { home, site } = stage;
  const second = await buildSecondLan(stage, page);
  const { code } = await site.authority('invite', 'mediator', secondMediator);
  await runSecondMediator(stage, second, String(code));
  await site.operator('grant', 'create', '--terminal', site.terminalKey, '--mediator', secondMediator);
  await home.terminal.run(cliCommand('mediators', '--wait', secondMediator), { env: site.terminalEnv });
  return second;
}

/** Builds another home behind the same carrier, its device at the same 192.168.1.10, which shows `page`. */
export async function buildSecondLan(stage: Stage, page: string): Promise<SecondHome> {
  const { lab, carrier } = stage.home;
  const gateway = await lab.namespace('gateway2');
  const device = await lab.namespace('device3');
  await lab.link(
    {
      namespace: gateway,
      interface: 'wan',
      addresses: ['100.65.0.2/24'],
      gateways: ['100.65.0.1'],
    },
    { namespace: carrier, interface: 'sub2', addresses: ['100.65.0.1/24'] },
  );
  await lab.link(
    { namespace: gateway, interface: 'lan', addresses: ['192.168.1.1/24'] },
    {
      namespace: device,
      interface: 'eth0',
      addresses: [`${homeAddresses.device}/24`],
      gateways: ['192.168.1.1'],
    },
  );
  const own = folderOf(stage);
  await startWebServer(device, join(own, 'nginx'));
  writeFileSync(join(own, 'nginx', 'www', 'index.html'), page);
  return { gateway, device };
}

/** Enrols the mediator of the second home by a code, and runs it. */
export async function runSecondMediator(stage: Stage, { gateway }: SecondHome, code: string): Promise<void> {
  const own = folderOf(stage);
  mkdirSync(own, { recursive: true });
  const state = join(own, 'mediator');
  const words = ['mediator', 'enroll', '--server', serverAddress, '--state', state];
  await gateway.run(cliCommand(...words), { env: { ENTREMISE_CODE: code } });
  const config = join(own, 'mediator.toml');
  writeFileSync(config, `stateDir = "${state}"\n`);
  gateway.spawn(cliCommand('mediator', 'run', '--config', config));
}
