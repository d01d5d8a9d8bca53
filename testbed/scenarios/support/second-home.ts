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
  readonly device: Namespace;
}

/**
 * Builds another home behind the same carrier, its device at the same 192.168.1.10, which shows `page`; enrols its mediator,
 * runs it, and has it granted to the stage's terminal.
 */
export async function buildSecondHome({ home, site, folder }: Stage, page: string): Promise<SecondHome> {
  const { lab, carrier } = home;
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
  const own = join(folder, 'second');
  await startWebServer(device, join(own, 'nginx'));
  writeFileSync(join(own, 'nginx', 'www', 'index.html'), page);
  await enrolMediator({ home, site, folder: own }, gateway);
  return { device };
}

async function enrolMediator({ home, site, folder }: Stage, gateway: Namespace): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const state = join(folder, 'mediator');
  const { code } = await site.authority('invite', 'mediator', secondMediator);
  const words = ['mediator', 'enroll', '--server', serverAddress, '--state', state];
  await gateway.run(cliCommand(...words), { env: { ENTREMISE_CODE: String(code) } });
  const config = join(folder, 'mediator.toml');
  writeFileSync(config, `stateDir = "${state}"\n`);
  gateway.spawn(cliCommand('mediator', 'run', '--config', config));
  const grant = ['grant', 'create', '--terminal', site.terminalKey, '--mediator', secondMediator];
  await site.operator(...grant);
  await home.terminal.run(cliCommand('mediators', '--wait', secondMediator), { env: site.terminalEnv });
}
