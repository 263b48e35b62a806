"""Adapters for trainers, torch.distributed and scikit-learn; each module imports the package of the same name.

========================  =========================================================================================
plain torch, torchdata    nothing: pass the sampler as ``batch_sampler``; ``StatefulDataLoader`` saves its position
accelerate                do not pass ``num_replicas``, since ``prepare`` distributes the batches; to resume, call
                          ``loader.set_epoch(epoch)`` before ``skip_first_batches`` or the first batch of a stateful
                          loader, and at the start of every epoch after that
transformers              :class:`negmine.integrations.transformers.SetEpochCallback`
sentence-transformers     the same callback, and :mod:`negmine.integrations.sentence_transformers`
PyKEEN                    :class:`negmine.integrations.pykeen.ExactNegativeSampler` as ``negative_sampler``
Lightning                 ``Trainer(use_distributed_sampler=False)``, ``num_replicas`` and ``rank`` passed to the
                          sampler, and :class:`negmine.integrations.lightning.SetEpochCallback`
torch.distributed         :class:`negmine.integrations.torch_distributed.DistributedSearcher`: documents on many ranks
scikit-learn              :class:`negmine.integrations.sklearn.ExactNeighbors`, also for imbalanced-learn
========================  =========================================================================================
"""
