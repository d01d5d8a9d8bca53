import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EntremiseError } from '../../src/base/errors.ts';
import type { Site, SiteOptions } from '../site.ts';
import { type Box, makeBox, reasonForNoBox } from '../topologies/box.ts';
import type { Bench, BenchContext } from './bench.ts';
import type { Figure } from './report.ts';
import { memoryFigures, startFigures } from './router-alone.ts';
import { tcpFigures, udpFigures } from './router-loads.ts';
import { withSite } from './with-home.ts';

/**
 * A mediator on a router, or what is most like one: what runs on the gateway runs in a box of 128 MiB, a quarter of a
 * processor, and a root that cannot be written (topologies/box.ts). The others run as they like. Each program has a box of
 * its own of the same size, so that none lacks what another has.
 *
 *   memory   of the mediator, idle and with a bulk stream each way
 *   start    from the first instruction to online, beside a Node that does nothing
 *   tcp      a bulk stream through forward, beside `ssh -R` of OpenSSH and of dropbear, which OpenWRT has
 *   udp      datagrams through the relay of a redirected port, beside coturn in the mediator's place
 */

/** Boxes by what runs in them, and where their limits go in the end. */
class Boxes {
  private readonly boxes: Box[] = [];

  make(name: string): Box {
    const box = makeBox({ name: `bench-${name}` });
    this.boxes.push(box);
    return box;
  }

  async remove(): Promise<void> {
    for (const box of this.boxes) await box.remove();
  }
}

async function measure(site: Site, context: BenchContext, folder: string, boxes: Boxes, own: Box) {
  const figures: Figure[] = [...(await startFigures(site, context, own))];
  context.progress('router: TCP, beside ssh and dropbear');
  const bench = { site, context, folder, boxFor: (name: string) => boxes.make(name) };
  const tcp = await tcpFigures(bench);
  figures.push(...tcp.figures, ...memoryFigures(tcp, own));
  context.progress('router: UDP, beside coturn');
  return [...figures, ...(await udpFigures(bench))];
}

async function inFolder(context: BenchContext, folder: string, boxes: Boxes): Promise<readonly Figure[]> {
  const directory = join(folder, 'site');
  await mkdir(directory);
  const own = boxes.make('mediator');
  const options: SiteOptions = {
    directory,
    mediatorWrapper: own.wrapper(join(directory, 'mediator'), [join(directory, 'mediator.toml')]),
  };
  return withSite('bench', options, site => measure(site, context, folder, boxes, own));
}

/** See the head of this file. */
export const routerBench: Bench = {
  name: 'router',
  summary:
    'the mediator in a box of 128 MiB and a quarter of a processor, beside dropbear, ssh and coturn in one',
  async run(context) {
    const reason = reasonForNoBox();
    if (reason !== undefined)
      throw new EntremiseError('environment-unfit', { message: `This bench cannot run here: ${reason}.` });
    context.progress('router: building the home, enrolling server, mediator and terminal');
    const folder = await mkdtemp(join(tmpdir(), 'entremise-router-'));
    const boxes = new Boxes();
    try {
      return await inFolder(context, folder, boxes);
    } finally {
      await boxes.remove();
      await rm(folder, { recursive: true, force: true });
    }
  },
};
