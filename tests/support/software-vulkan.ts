/**
 * The software Vulkan driver that Debian's `chromium` package ships: with it the WebGPU path runs without a GPU. The
 * variables must be set before a process starts, so such tests run their programs in a child process.
 */
import { existsSync } from 'node:fs';

const FOLDER = '/usr/lib/chromium';
const DRIVER = `${FOLDER}/vk_swiftshader_icd.json`;

export const hasSoftwareVulkan: boolean = existsSync(DRIVER) && existsSync(`${FOLDER}/libvulkan.so.1`);

/** Environment of a child process that finds the driver and its loader. */
export const softwareVulkan = (): NodeJS.ProcessEnv => ({
  ...process.env,
  VK_ICD_FILENAMES: DRIVER,
  LD_LIBRARY_PATH: [FOLDER, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
});
