// In the place of thread-stream in the bundles: pino loads it for transports in worker threads, which nothing here uses.
module.exports = class NoLogWorker {
  constructor() {
    throw new Error('Logs are written by this thread; there are no log transports in this program.');
  }
};
