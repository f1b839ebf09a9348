// Runs generateVideo and generateImage of the AI SDK against the API at XAI_API_BASE_URL.
// Prints one line of JSON: how many bytes each came to, and how each began.
import * as ai from 'ai';
import { createXai } from '@ai-sdk/xai';

const { XAI_API_BASE_URL: baseURL, XAI_API_KEY: apiKey, ASSETS: assets } = process.env;
const xai = createXai({ baseURL, apiKey });
const generateVideo = ai.generateVideo ?? ai.experimental_generateVideo;
const generateImage = ai.generateImage ?? ai.experimental_generateImage;
// The SDK's own download refuses loopback addresses.
const download = async ({ url }) => {
  const reply = await fetch(url);
  return { data: new Uint8Array(await reply.arrayBuffer()), mediaType: 'video/mp4' };
};
const firstFrame = new Uint8Array(await (await fetch(`${assets}/first.png`)).arrayBuffer());
const quick = { pollIntervalMs: 100, pollTimeoutMs: 30000 };
const poll = { intervalMs: 100, timeoutMs: 30000 };

const asked = {
  textToVideo: { prompt: 'a fox', duration: 2, aspectRatio: '16:9', resolution: '1280x720' },
  imageToVideo: { prompt: { image: firstFrame, text: 'it moves' }, duration: 1 },
  edit: {
    prompt: 'bluer',
    providerOptions: { xai: { mode: 'edit-video', videoUrl: `${assets}/in.mp4` } },
  },
  emptyAnswers: { prompt: 'a fox [[sim:empty202]]', duration: 1 },
};

const seen = {};
for (const [name, options] of Object.entries(asked)) {
  const { videos } = await generateVideo({
    model: xai.video('grok-imagine-video'),
    download,
    poll,
    ...options,
    providerOptions: { xai: { ...quick, ...options.providerOptions?.xai } },
  });
  const bytes = videos[0].uint8Array;
  seen[name] = { count: videos.length, bytes: bytes.length, brand: brand(bytes) };
}
const { images } = await generateImage({ model: xai.image('grok-imagine-image'), prompt: 'a fox', n: 2 });
seen.images = { count: images.length, bytes: images[0].uint8Array.length };
console.log(JSON.stringify(seen));

function brand(bytes) {
  return new TextDecoder().decode(bytes.slice(4, 8));
}
