"""Who writes captions: the base class, the registry, one file per backend.

What every backend has to do with
    base.py         what a backend is; registry.py says which there are
    prompt.py       the question
    fields.py       structured fields: field_values.py says what each may hold, vocabulary.py which
                    tags there are
    encoding.py     a photo as the JPEG that is sent
    tokens.py       what a photo will take; usage.py: what an answer took
    reasoning.py    how little a model can be made to think

On this machine
    template.py     captions from pixels alone; color_names.py names colours
    mock.py         placeholders and failures, to rehearse with
    local_hf.py     a vision model: local_engine.py has it loaded; local_loading.py, local_memory.py
                    and local_devices.py get it there; local_families.py, local_windows.py and
                    local_batching.py say what is special about it
    hosted.py       a backend in a child process
    local_server.py what Ollama or LM Studio says about a model

Providers
    endpoint.py     where photos may be sent
    http_service.py one provider as its failures are told; http_errors.py: what they have in common
    answer_limits.py  how large and how late an answer may be
    rate_limits.py  what a provider says of its limits
    finish.py       whether an answer is whole
    openai_sdk.py   every OpenAI-compatible provider: openai_options.py, openai_errors.py and
                    chat_answers.py are its parts; openai.py, xai.py, ollama.py, hyperbolic.py and
                    compatible.py its providers
    anthropic.py    Claude; anthropic_answer.py reads its answers
    gemini.py       Gemini; gemini_protocol.py: its requests, answers and errors
    bedrock.py      Bedrock; bedrock_access.py: who we are there; bedrock_errors.py
    litellm.py      whatever LiteLLM knows
"""
