// Makes videos with @tanstack/ai and its Grok adapter against the API at XAI_API_BASE_URL.
// Prints one line of JSON: how many bytes each came to, and how each began.
import { generateVideo, getVideoJobStatus } from '@tanstack/ai';
import { createGrokVideo } from '@tanstack/ai-grok';

const { XAI_API_BASE_URL: baseURL, XAI_API_KEY: apiKey, ASSETS: assets } = process.env;
const from = (kind, name) => ({ type: kind, source: { type: 'url', value: `${assets}/${name}` } });
const text = (content) => ({ type: 'text', content });

const asked = {
  textToVideo: { prompt: 'a fox', size: '16:9_720p', duration: 2 },
  imageToVideo: { prompt: [text('it moves'), from('image', 'first.png')], duration: 1 },
  edit: { prompt: [text('bluer'), from('video', 'in.mp4')], modelOptions: { mode: 'edit' } },
};

const seen = {};
for (const [name, options] of Object.entries(asked)) {
  const adapter = createGrokVideo('grok-imagine-video', apiKey, { baseURL });
  const { jobId } = await generateVideo({ adapter, ...options });
  let job = { status: 'pending' };
  while (job.status === 'pending' || job.status === 'processing') {
    await new Promise((resolve) => setTimeout(resolve, 100));
    job = await getVideoJobStatus({ adapter, jobId });
  }
  const bytes = new Uint8Array(await (await fetch(job.url)).arrayBuffer());
  const brand = new TextDecoder().decode(bytes.slice(4, 8));
  seen[name] = { count: 1, bytes: bytes.length, brand };
}
console.log(JSON.stringify(seen));
