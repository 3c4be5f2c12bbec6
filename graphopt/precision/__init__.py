"""Computing in float16 or bfloat16 where the numbers allow it, in typed graphs."""
