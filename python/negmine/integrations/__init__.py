"""Adapters for trainers; each module imports the package that it is named after.

========================  =========================================================================================
plain torch, torchdata    nothing: hand the sampler to ``batch_sampler=``; ``StatefulDataLoader`` saves its place
accelerate                leave ``num_replicas`` alone, since ``prepare`` deals out the batches; to resume, call
                          ``loader.set_epoch(epoch)`` before ``skip_first_batches`` or the first batch of a stateful
                          loader, and at the start of every epoch after that
transformers              :class:`negmine.integrations.transformers.SetEpochCallback`
sentence-transformers     the same callback, and :mod:`negmine.integrations.sentence_transformers`
Lightning                 ``Trainer(use_distributed_sampler=False)``, ``num_replicas`` and ``rank`` given to the
                          sampler, and :class:`negmine.integrations.lightning.SetEpochCallback`
========================  =========================================================================================
"""
