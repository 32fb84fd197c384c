"""Models that are measured: experts, top_k, hidden, intermediate."""

MODELS = {
    "qwen3-30b-a3b": (128, 8, 2048, 768),
    "llama-4-scout": (16, 1, 5120, 8192),
    "mixtral-8x7b": (8, 2, 4096, 14336),
    "deepseek-v3": (256, 8, 7168, 2048),
}
