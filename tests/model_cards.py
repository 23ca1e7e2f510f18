"""Model cards in the shapes that are found on the Hub. Made up, but for the shapes."""

from __future__ import annotations

LLM = """---
license: other
license_name: open-weights-1.2
license_link: LICENSE
language:
- en
- de   # the evaluation covers these two only
base_model:
- example/Base-7B
- example/Base-7B-Instruct
base_model_relation: merge
library_name: transformers
pipeline_tag: text-generation
datasets: [example/sft, 'example/dpo:v2']
tags: [ chat,   merge ]
extra_gated_prompt: >-
  By using this model you agree
  to the licence.
extra_gated_fields:
  Name: text
  I agree: checkbox
widget:
- text: "Tell me: is a saddle a minimum?"
  example_title: |
    A question

    with a gap
  output:
    text: 'No, it isn''t --- look down.'
inference:
  parameters: {temperature: 0.70, top_p: 1.0}
---

# Base-7B-Chat

<p align="center"><img src="logo.png" width=200></p>

```yaml
---
model-index: not this one
---
```

| Benchmark | Score |
|:--|--:|
| A | 61.2 |
"""

TIMM = """---
tags:
- image-classification
- timm
library_name: timm
license: apache-2.0
datasets:
- imagenet-1k
---
# Model card for resnet18.a1_in1k

A ResNet-B image classification model.

```python
import timm
model = timm.create_model('resnet18.a1_in1k', pretrained=True)
```

    <!-- landscape-audit:begin is only quoted in this indented code -->
"""

DIFFUSION = """---
license: creativeml-openrail-m
tags:
  - stable-diffusion
  - text-to-image
inference: true
extra_gated_prompt: |-
  One more step before getting this model.
    1. You can't use the model to ...

  Please read the full license carefully.
# the Hub shows this one
thumbnail: "https://example.org/a b.png"
---

# A diffusion model

<gallery/>

> Not for harmful content.
"""

TRAINER = """---
library_name: transformers
license: apache-2.0
base_model: distilbert-base-uncased
tags:
- generated_from_trainer
metrics:
- accuracy
model-index:
- name: distilbert-finetuned
  results:
  - task:
      name: Text Classification
      type: text-classification
    dataset:
      name: emotion
      type: emotion
      args: split   # as the trainer wrote it
    metrics:
    - name: Accuracy
      type: accuracy
      value: 9.265e-1
    - name: F1
      type: f1
      value: 0.92650
# below: written by hand
pipeline_tag: text-classification
---

<!-- This model card has been generated automatically according to the information the Trainer had access to. -->

# distilbert-finetuned

### Framework versions

- Transformers 4.46.0
"""

SENTENCES = """---
tags:
- sentence-transformers
- mteb
model-index:
  - name: "all-small: v2"
    results:
      -
        task: {type: Retrieval}
        dataset: {type: mteb/arguana, name: MTEB ArguAna, config: default, split: test, revision: None}
        metrics: [{type: map_at_1, value: 24.253}, {type: map_at_10, value: 38.962}]
      -
        task: {type: STS}
        dataset: {type: mteb/biosses-sts, name: MTEB BIOSSES, config: default, split: test, revision: d3fb}
        metrics:
          - type: cos_sim_pearson
            value: 88.0
  - name: second model
    results:
      - task: {type: STS}
        dataset: {type: mteb/other, name: Other}
        metrics:
          - {type: cos_sim_pearson, value: 11}
language: en
---

# all-small

This is a [sentence-transformers](https://www.sbert.net) model."""

GGUF = """---
base_model: example/Chat
inference: false
model_creator: Example
prompt_template: '<|im_start|>system

  {system_message}<|im_end|>

  '
quantized_by: someone
---
<!-- markdownlint-disable MD041 -->

<!-- header start -->
<div style="width: auto; margin-left: auto; margin-right: auto">
<img src="https://example.org/x.jpg" alt="x">
</div>
<!-- header end -->

# Chat - GGUF

| Name | Quant method | Bits |
| ---- | ---- | ---- |
| [chat.Q4_K_M.gguf](chat.Q4_K_M.gguf) | Q4_K_M | 4 |
"""

CHINESE = """---
license: mit
language:
- zh
tags:
- 问答
model_name: 模型-小
---

# 模型卡片 🤗

本模型基于公开数据训练。\x20\x20
请勿用于医疗用途。
"""

HTML = """---
license: mit
---
<!DOCTYPE html>
<style>
body { font-family: sans-serif; }
</style>
<div class="container">
<h1>Merged</h1>
<details><summary>Config</summary>

```yaml
slices:
  - sources: [a, b]
```

</details>
</div>
<script>
  let x = "<!-- landscape-audit:begin -->";
</script>
"""

PLAIN = """My model
========

No front matter, and `<!-- landscape-audit:begin -->` in a sentence.

~~~
<!-- landscape-audit:begin results="x" -->
<!-- landscape-audit:end -->
~~~
"""

CARDS = {
    "llm": LLM,
    "timm": TIMM,
    "diffusion": DIFFUSION,
    "trainer": TRAINER,
    "sentence-transformers": SENTENCES,
    "gguf": GGUF,
    "chinese": CHINESE,
    "crlf": TRAINER.replace("\n", "\r\n"),
    "html": HTML,
    "plain": PLAIN,
    "bom": "\ufeff" + CHINESE,
    "empty": "",
    "nothing in front": "---\n---\n\n# A card\n\n---\n",
    "null": "---\nmodel-index:   # none yet\nlicense: mit\n---\n",
    "no models": "---\r\nmodel-index: [] # none yet\r\nlicense: mit\r\n---",
    "only comments": "---\n# nothing\n---\ntext",
    "indented": "---\n  license: mit\n  tags: [a]\n---\n",
}
