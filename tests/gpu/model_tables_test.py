#!/usr/bin/env python3
"""Tests of model_tables.py on invented result files."""
import unittest

import model_tables
from models import MODELS


def result_row(fusions="gather", tokens=16, us=100.0, n=64, k=32, routing="counts-1", **data):
    data = {"problem": f"forward/bf16/{fusions}/e8/t{tokens}x2/n{n}/k{k}/{routing}", "tier": "exact", "outcome": "ok",
            "family": "f", "time_us": us, "floor_us": 100.0, "default_time_us": us, "tflops": 1.0, "gbps": 1.0, "peers": {}, **data}
    return {"family": "f", "fingerprint": "0", "values": [], "data": data}


def section(rows, launches=(), model="m"):
    return model_tables.section(
        {model: {"command": f"moetune bench --model {model}", "device": "card", "driver": "1", "nvrtc": "2", "date": "d",
                 "rows": rows}}, dict(launches))


def line_with(text, *words):
    return next(line for line in text.splitlines() if all(word in line for word in words))


class ModelTablesTest(unittest.TestCase):
    def test_means_are_geometric_and_over_the_models(self):
        results = {model: {"command": f"bench --model {model}", "device": "card", "driver": "1", "nvrtc": "2", "date": "d",
                           "rows": [result_row(us=us, listed={"vllm": 2 * us})]}
                   for model, us in zip(MODELS, (100.0, 200.0, 400.0, 800.0))}
        text = model_tables.section(results, {})
        self.assertIn("| gather | 16 | 4 | 2.828 | 1.03 |", text)
        self.assertIn("- mean of best peer listed (timed on another card) / ours: 1 of 1\n", text)
        self.assertEqual(text.count("`bench --model MODEL`"), 1, "one command stands for all models")
        results.popitem()
        text = model_tables.section(results, {})
        self.assertIn("| gather | 16 | 3 | 2.000 | - |", text, "aims are about all models together")
        self.assertNotIn("- mean of", text)

    def test_only_what_misses_its_aim_is_named(self):
        text = section([result_row(us=100, peers={"torch": 90.0}), result_row(us=100, tokens=64, peers={"torch": 99.0})])
        line = line_with(text, "- at most 1.02 of the best peer here")
        self.assertIn(": 1 of 2; not m gather 64x32 t16 1.111", line)
        self.assertNotIn("t64", line)

    def test_peers_of_another_card_are_kept_apart_and_called_estimates(self):
        text = section([result_row(peers={"torch": 150.0}, listed={"vllm": 80.0, "cublas_loop": 50.0}, listed_scale=1.4)])
        self.assertIn("| torch | 150.0 | 1.50 | vllm | 80.0 | 0.80 | 0.50 |", text)
        self.assertIn("estimates", text)
        self.assertNotIn("listed", section([result_row(peers={"torch": 150.0})]))

    def test_swiglu_is_held_against_the_same_gemm(self):
        text = section([result_row(us=100), result_row("gather+swiglu", us=104), result_row(tokens=64, us=1)])
        self.assertIn("| m | 16 | 100.0 | 104.0 | 1.040 |", text)
        self.assertIn("- swiglu at most 1.03 of the GEMM without: 0 of 1", text)

    def test_combine_is_held_against_scatter_and_the_sum(self):
        text = section([result_row("combine", us=119, parts={"sum": 20.0}), result_row("scatter+scale", us=100)])
        self.assertIn("| m | 16 | 119.0 | 100.0 | 20.0 | 0.992 |", text)
        self.assertIn("- combine faster than scatter and scale and the sum: 1 of 1\n", text)

    def test_zipf_is_held_against_softmax_each_over_its_own_floor(self):
        text = section([result_row(us=150, routing="softmax"), result_row(us=100, routing="zipf", floor_us=50.0)])
        self.assertIn("| m | gather | 16 | 1.50 | 2.00 | 1.333 |", text)
        self.assertIn("| softmax | f |", text)

    def test_one_token_is_allowed_an_empty_launch(self):
        text = section([result_row(tokens=1, us=118)], {"card": 5.0})
        self.assertIn("| m | gather | 64 x 32 | 118.0 | 100.0 | 5.0 | 0.98 |", text)
        self.assertIn("- one token at most 1.15 floors and an empty launch: 1 of 1\n", text)

    def test_the_portable_family_is_held_against_one_peer(self):
        text = section([result_row(us=120, tokens=1024, family="sm80_mma", listed={"unsloth": 100.0, "vllm": 50.0})])
        self.assertIn("- sm80_mma within its aim of unsloth, listed (timed on another card): 1 of 1\n", text)
        self.assertNotIn("best peer listed", text)

    def test_a_row_without_a_time_says_why_and_counts_nowhere(self):
        text = section([result_row(us=None, outcome="wrong_result", tflops=None, gbps=None, default_time_us=100.0,
                                   peers={"torch": 90.0}), result_row(tokens=64)])
        self.assertIn("wrong_result", text)
        self.assertNotIn("best peer here", text.split("Aims")[1])

    def test_a_winner_of_another_token_count_is_marked(self):
        self.assertIn("| f (bucket) |", section([result_row(tier="bucket")]))

    def test_shards_and_keys_without_a_routing_are_read(self):
        row = result_row()
        row["data"]["problem"] = "forward/bf16/plain/e8/t16x2/n64/k32/r20"
        self.assertIn("| m | 64 x 32 | 16 | f |", section([row]))


if __name__ == "__main__":
    unittest.main()
